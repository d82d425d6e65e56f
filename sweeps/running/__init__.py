"""Running: packs in; one record for each cell out, by Ray Tune trials or by workers without Ray.

Imports planning, ledger, watching and loggers; only cli.py may import it. Only `ray_tune` imports ray.
"""
