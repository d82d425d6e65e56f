"""Axes: what figures share: sizes and colours of a paper, scales of an axis, legends in words.

Imports words, critical and frames. Figures and whatever writes them may import it; nothing here draws data.
"""
