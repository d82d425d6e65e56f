"""Training: members, images and a training run in; a trained pack, its history and checkpoints out.

Imports everything before it. Only `sweeps`, `benchmarks` and `python -m hvae_core` may import it.
"""
