"""Options: what a user typed in; checked values and requests out.

Imports grid, ledger and planning, and click; cli.py and the commands of `analysis` may import it.
"""
