"""A hub on this machine."""

import pytest


@pytest.fixture
def hub():
    """A `LoopbackHub` that is running."""
    from loopback_hub import LoopbackHub

    with LoopbackHub().running() as made:
        yield made
