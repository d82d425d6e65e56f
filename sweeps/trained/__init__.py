"""Trained: complete cells in; models, later evaluations and drawings out.

Imports planning, ledger and grid; cli.py and `analysis` may import it.
"""
