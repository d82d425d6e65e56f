"""Families of networks: the text of a model in; its latents, its number of parameters and its networks out.

A family is a frozen value that costs no torch to build or to hash: its networks are imported where they are built.
Imports networks, likelihoods' table and image; anyone may import it. A family of your own needs `Family` and `Shape`.
"""

from hvae_core.families.base import Family, RowFloats, Shape

__all__ = ["Family", "RowFloats", "Shape"]
