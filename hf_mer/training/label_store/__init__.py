"""Label stores built from the training rows of a fold (LE-MER, sections 2.1 and 2.2)."""
