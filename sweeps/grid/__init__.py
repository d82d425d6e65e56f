"""Grid: what was asked for in; cells, each with the id that its configuration hashes to, out.

Imports hvae_core alone. Everything else in `sweeps` may import it.
"""
