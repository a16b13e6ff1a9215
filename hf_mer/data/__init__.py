"""Corpora as `datasets.Dataset`: IEMOCAP, MELD, people's own, folds, and the checks that come before training."""

from hf_mer.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "hf_mer.data.schema": ("CorpusError", "corpus_features"),
        "hf_mer.data.corpora.iemocap": ("IemocapBuilder", "compare_counts", "load_iemocap"),
        "hf_mer.data.corpora.meld": ("MeldBuilder", "load_meld"),
        "hf_mer.data.corpora.manifest": ("load_corpus",),
        "hf_mer.data.corpora.public.loading": ("load_public",),
        "hf_mer.data.check_files": ("check_audio", "check_video"),
        "hf_mer.data.checks": ("check_labels", "check_test_labels", "check_text"),
        "hf_mer.data.protocols.make_folds": (
            "Fold",
            "check_folds",
            "make_folds",
            "repeated_texts",
            "select_fold",
            "split_hash",
        ),
        "hf_mer.data.corpora.registry": ("register_datasets",),
    },
)
