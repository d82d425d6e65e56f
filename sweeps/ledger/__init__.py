"""Ledger: cells and facts in; one atomic file for each fact, and every state derived from files, out.

Imports grid. Everything after it in `sweeps`, and `analysis`, may import it.
"""
