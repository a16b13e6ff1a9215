"""Systems without a neural network."""
