"""Cluster: a request and a scheduler's options in; a script, a submitted job and its state out.

Imports planning, ledger and grid; only cli.py may import it.
"""
