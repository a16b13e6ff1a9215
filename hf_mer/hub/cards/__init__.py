"""Model cards and dataset cards: facts, results, tables, and a template each."""
