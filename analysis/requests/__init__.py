"""Requests: what a command of hvae-plot is asked for, read and checked; the files and lines that it gives.

Imports axes, words and frames. Reports may import it.
"""
