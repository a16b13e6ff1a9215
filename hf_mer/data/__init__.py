"""Corpora as `datasets.Dataset`: IEMOCAP, MELD, people's own, folds, and the checks that come before training.

Names are resolved on first use (PEP 562), so that importing this package costs nothing.
"""

import importlib
from typing import Any

_EXPORTS = {
    "hf_mer.data.schema": ("CorpusError", "corpus_features"),
    "hf_mer.data.iemocap": ("IemocapBuilder", "compare_counts", "load_iemocap"),
    "hf_mer.data.meld": ("MeldBuilder", "load_meld"),
    "hf_mer.data.manifest": ("load_corpus",),
    "hf_mer.data.check_clips": ("check_video",),
    "hf_mer.data.checks": ("check_audio", "check_labels", "check_test_labels", "check_text"),
    "hf_mer.data.protocols": (
        "Fold",
        "check_folds",
        "make_folds",
        "repeated_texts",
        "select_fold",
        "split_hash",
    ),
    "hf_mer.data.registry": ("register_datasets",),
}
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
