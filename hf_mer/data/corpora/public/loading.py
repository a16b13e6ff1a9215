"""`load_public("ravdess", folder)`: a public corpus, or one that a description of one's own tells of, as rows."""

import logging
import os
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from datasets import Dataset, DatasetDict

from hf_mer.data.corpora.public.description import PublicCorpus, describe
from hf_mer.data.corpora.public.reading import Recording, find_root, read_recordings
from hf_mer.data.corpora.published import check_options, report_counts, rows_or_folds
from hf_mer.data.schema import canonical_gender, canonical_label, label_ids, make_record, records_to_dataset

logger = logging.getLogger(__name__)


def load_public(
    corpus: str,
    data_dir: str | os.PathLike,
    *,
    protocol: str | None = None,
    fold: int | str | None = None,
    validation: str | None = None,
    check_counts: str = "auto",
    cache_dir: str | os.PathLike | None = None,
) -> Dataset | DatasetDict | list[DatasetDict]:
    """Loads a public corpus from the folder that its release was unzipped into.

    Nested folders, leftovers of Macs, endings in upper case and recordings that are there twice do no harm; the log
    says what of the folder was left out. `group` is the speaker's group in the corpus's own folds (the protocol
    `groups`), in which nobody is tested who was trained on. Recordings stay where they are.

    Args:
        corpus: `crema_d`, `emodb`, `nemo` or `ravdess`, or the path of a description of one's own (YAML).
        data_dir: The folder.
        protocol: `groups` for the corpus's own folds, or another one of `make_folds`.
        fold: Position or name of a fold of the protocol.
        validation: Which rows select the epoch; see `make_folds`.
        check_counts: Whether recordings per class and speakers are compared with the published counts: `auto` warns of
            differences, `strict` raises, `off` does nothing.
        cache_dir: Of `datasets`; its default if not given.

    Returns:
        All rows; with `protocol` and `fold` the train, validation and test rows of that fold; with `protocol` alone
        all its folds in order.

    Raises:
        CorpusError: If the folder is missing (with where to get the corpus), is of another corpus, or holds files with
            codes that are not known; with counts that differ, if `strict`.
        ValueError: If an option is not known.
    """
    described = describe(corpus)
    check_options("", ("",), check_counts, protocol, fold=fold, validation=validation)
    root = find_root(described, data_dir)
    found = read_recordings(described, root)
    if check_counts != "off":
        report_counts(compare_counts(described, found), described.title, root, check_counts)
    records = public_records(described, found)
    return rows_or_folds(records_to_dataset(records, described.classes, cache_dir), protocol, fold, validation)


def public_records(corpus: PublicCorpus, found: Sequence[Recording]) -> list[dict]:
    """Rows of the schema, without recordings that are known to be unusable, which the log says."""
    unusable = {name.lower(): why for name, why in corpus.unusable.items()}
    bad = [recording for recording in found if recording.id.lower() in unusable]
    if bad:
        told = ", ".join(f"{recording.id} ({unusable[recording.id.lower()]})" for recording in bad)
        logger.warning("%s: recordings left out that cannot be used: %s", corpus.title, told)
    groups = speaker_groups(corpus, [recording.speaker for recording in found])
    ids = label_ids(corpus.classes)
    return [
        make_record(
            id=recording.id,
            audio=recording.path,
            text=recording.text,
            speaker=recording.speaker,
            gender=recording.gender and canonical_gender(recording.gender),
            group=groups[recording.speaker],
            label=ids[canonical_label(recording.label)],
        )
        for recording in found
        if recording.id.lower() not in unusable
    ]


def speaker_groups(corpus: PublicCorpus, found: Sequence[str]) -> dict[str, str]:
    """The fold of every speaker; where the description names all speakers, whoever is missing from the folder.

    Args:
        corpus: Its `groups` says how many folds there are.
        found: Speakers of the rows.
    """
    speakers = sorted(corpus.genders or set(found), key=_natural)
    if corpus.groups >= len(speakers):
        return {speaker: f"speaker{speaker}" for speaker in speakers}
    cuts = np.array_split(np.arange(len(speakers)), corpus.groups)
    return {speakers[place]: f"group{number}" for number, cut in enumerate(cuts, start=1) for place in cut}


def _natural(speaker: str) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", speaker) if part]


def compare_counts(corpus: PublicCorpus, found: Sequence[Recording]) -> list[str]:
    """Where a folder differs from the published counts of recordings and speakers; empty if nowhere.

    Args:
        corpus: Its description.
        found: Of `read_recordings`.
    """
    counts = Counter(recording.label for recording in found)
    differences = [
        f"{name}: {counts[name]} recordings, published {count}"
        for name, count in corpus.counts.items()
        if counts[name] != count
    ]
    speakers, published = len({recording.speaker for recording in found}), len(corpus.genders) or corpus.num_speakers
    if published and speakers != published:
        differences.append(f"{speakers} speakers, published {published}")
    if differences and corpus.counts:
        differences.append(f"in all: {len(found)} recordings, published {sum(corpus.counts.values())}")
    return differences
