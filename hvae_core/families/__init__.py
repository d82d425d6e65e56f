"""Families of networks: the text of a model in; its latents, its number of parameters and its networks out.

A family is a frozen value that costs no torch to build or to hash. Imports checks and images; anyone may import it.
"""
