"""Evaluation: a model and images in; unsmoothed metrics of each member out.

Imports systems, networks and streams. Training and `sweeps` may import it; nothing here knows rho.
"""
