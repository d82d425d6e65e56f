"""Figures: summary frames and axes in, axes with artists out, in the sizes and colours of `axes.style`.

Imports axes, words, summaries and frames. Reports and tests may import it; it reads no file and writes none.
"""
