"""Planning: cells minus what the ledger holds in; packs, resources and estimates out.

Imports grid and ledger; running, trained, options and cluster may import it.
"""
