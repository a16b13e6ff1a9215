"""Public corpora by name: one description (`*.yaml`) for each, and one reader for all."""
