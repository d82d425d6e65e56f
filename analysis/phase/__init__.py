"""Phase: the phase-transition figure, its curves, its panels and its legend.

Imports axes, words, summaries and frames, as figures do; it reads no file and writes none.
"""
