"""Settings of a training run: how they are read, and which of them decide a result."""
