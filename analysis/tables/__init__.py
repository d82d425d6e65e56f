"""Tables: summary frames in; rows of text as markdown, LaTeX or csv out.

Imports summaries, words and frames; reports may import it.
"""
