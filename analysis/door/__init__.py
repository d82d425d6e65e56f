"""Door: figures for a user's own axes, from Python: `frame, ax=None -> Axes`.

Imports what draws and what summarises. `analysis` itself hands these functions on; nothing else imports them.
"""
