"""Sweeps over grids of small HVAEs: grid -> cells -> ledger -> packs -> Ray Tune trials -> one record per cell."""
