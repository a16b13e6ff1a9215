"""Tables of systems: rows over folds and seeds, each run once, reported with intervals, claims and figures."""
