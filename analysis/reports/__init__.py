"""Reports: what a user asked to see in; a `Report` of written files and printed lines out.

One file for each command of hvae-plot. Imports everything before it; only `command` and cli.py may import it.
"""
