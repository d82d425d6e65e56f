"""Systems: how inference and generation are ordered; images and noise in, unreduced `Terms` out.

Imports networks and likelihoods. Evaluation and training may import it.
"""
