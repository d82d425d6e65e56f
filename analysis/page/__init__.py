"""The report page: frames and ledgers in, one self-contained HTML file out.

Imports frames, words, summaries, critical, tables and figures. Reports may import it.
"""
