"""Commands of `hvae-sweep` that need no analysis: cli.py puts them beside its own.

Imports all of sweeps. Only cli.py imports it.
"""
