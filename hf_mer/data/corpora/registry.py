"""`load_dataset("iemocap", data_dir=...)` and the same for MELD and public corpora, for those who ask for it.

`datasets` no longer runs loading scripts and has no entry points; the table of its packaged builders is the one place
where a name can be added. Nothing happens on import: `register_datasets()` is the explicit opt-in.
"""

import logging

from hf_mer.data.corpora.iemocap import IemocapBuilder
from hf_mer.data.corpora.meld import MeldBuilder
from hf_mer.data.corpora.public.builder import PublicBuilder
from hf_mer.data.corpora.public.description import public_names
from hf_mer.data.corpora.published import ReleaseBuilder, hash_code

logger = logging.getLogger(__name__)

BUILDERS: dict[str, type[ReleaseBuilder]] = {
    "iemocap": IemocapBuilder,
    "meld": MeldBuilder,
    **dict.fromkeys(public_names(), PublicBuilder),
}


def register_datasets() -> list[str]:
    """Makes `datasets.load_dataset` know the builders of this package, in this process.

    Calling it again changes nothing. `load_dataset` lists every file under `data_dir` before a builder sees it, which
    takes some 20 s for a whole release; `load_iemocap` does not, and both share one cache.

    Example:
        >>> from datasets import load_dataset
        >>> register_datasets()
        ['iemocap', 'meld', 'crema_d', 'emodb', 'nemo', 'ravdess']
        >>> rows = load_dataset("iemocap", "4class", data_dir="IEMOCAP_full_release", split="train")  # doctest: +SKIP

    Returns:
        The names that `load_dataset` now takes.

    Raises:
        RuntimeError: If this version of `datasets` keeps no such table, or has a builder of that name itself.
    """
    try:
        from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES as table
    except ImportError as error:
        raise RuntimeError(
            "this version of datasets has no table of packaged builders; use the loaders of hf_mer instead"
        ) from error
    for name, builder in BUILDERS.items():
        taken = table.get(name)
        if taken is not None and taken[0] != builder.__module__:
            raise RuntimeError(
                f"datasets has a builder {name!r} already ({taken[0]}); use the loaders of hf_mer instead"
            )
        table[name] = (builder.__module__, hash_code(*builder.CODE))
    return list(BUILDERS)
