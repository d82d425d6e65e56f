"""Likelihoods: the outputs of a decoder and images in; log p(x|z_1), the mean image and samples out.

Imports checks and image; `registry` costs no torch. Families and systems may import it.
"""
