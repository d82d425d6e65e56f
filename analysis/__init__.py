"""From results directories to figures: gather -> tidy frame -> summary frame -> figure, and the csv behind it.

Nothing here loads torch or ray (`samples` alone loads torch, when it lets models draw), only command.py loads click,
and nothing is unpickled: a results directory may come from someone else.
"""
