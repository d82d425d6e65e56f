"""Summaries: tidy frames in; statistics over seeds, critical values and tables of means out.

Frame to frame, never an axis. Imports frames and words; figures, tables and reports may import it.
"""
