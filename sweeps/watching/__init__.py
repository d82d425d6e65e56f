"""Watching: a ledger in; lines on what is done and what is going on out.

Imports ledger and grid; running and cli.py may import it.
"""
