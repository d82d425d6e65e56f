"""Frames: results directories in; tidy frames, one row for each cell or evaluation, out.

Imports sweeps' ledger and grid, and pandas. Everything else in `analysis` may import it.
"""
