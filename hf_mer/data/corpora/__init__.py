"""Loaders: IEMOCAP, MELD, and people's own tables, folders and manifests."""
