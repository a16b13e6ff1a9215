"""The small generated corpus of the training tests."""

from generated_corpus import corpus, datasets_cache  # noqa: F401
