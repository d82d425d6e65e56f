"""Adaptive sweeps: what the cells of a request say so far in; the cells of its next round out.

No trial is run here. Imports critical, and `sweeps`' grid and ledger; the command line may import it.
"""
