"""From results directories to figures: gather -> tidy frame -> summary frame -> figure, and the csv behind it.

Nothing here loads torch, ray or click, and nothing is unpickled: a results directory may come from someone else.
"""
