"""Words: settings and counts in; the phrases that figures, tables and the terminal print out.

Imports frames; summaries, figures, tables and reports may import it.
"""
