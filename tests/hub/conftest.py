"""A hub on this machine."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def hub():
    """A `LoopbackHub` that is running."""
    from loopback_hub import LoopbackHub

    with LoopbackHub().running() as made:
        yield made


@pytest.fixture
def no_waiting():
    """Uploads that break off are tried again at once, where huggingface_hub would wait for 23 s in all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
        yield
