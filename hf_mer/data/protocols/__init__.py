"""Which rows train, validate and test: protocols and their folds."""
