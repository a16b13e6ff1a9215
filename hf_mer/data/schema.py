"""One row of data: its columns, and how rows become a `datasets.Dataset`.

Whatever the corpus, a row has the columns of `corpus_features`. Loaders make plain dictionaries (`make_record`) and
hand them to `records_to_dataset`, which keeps them as an Arrow file in the cache of `datasets`, so that later `map`
calls are cached too.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
from datasets import Audio, ClassLabel, Dataset, Features, List, Value

from hf_mer.console import readable
from hf_mer.data.errors import CorpusError
from hf_mer.files import whole

SAMPLING_RATE = 16000  # Hz
VIDEO_FEATURES = {
    "path": Value("string"),
    "start": Value("float32"),
    "end": Value("float32"),
    "side": Value("string"),
}

_STRINGS = ("speaker", "gender", "dialogue", "session", "part", "split", "group")
_FLOATS = ("duration", "start", "end", "valence", "arousal", "dominance")
_ROWS_AT_ONCE = 10_000  # of which Python objects are held beside the table
_GENDERS = {
    **dict.fromkeys(("f", "female", "w", "woman"), "female"),
    **dict.fromkeys(("m", "male", "man"), "male"),
}
_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
SPLIT_NAMES = tuple(_SPLITS)
TAG = re.compile(r"\[[A-Za-z][A-Za-z_ ]*\]")
"""A mark of a sound in a transcript, `[LAUGHTER]` for one."""


def corpus_features(labels: Sequence[str]) -> Features:
    """The columns of every corpus.

    `corpus` says which of several corpora a row is from, `gender` is the speaker's (see `canonical_gender`). `part` is
    "improvised" or "scripted", `split` an official split, `group` the fold group of a user's corpus, `turn` the
    position in the dialogue, `history` earlier texts of the dialogue, oldest first. `duration`, `start` and `end` are
    seconds; `start` and `end` are places in a dialogue or episode and never cut. `audio_start` and
    `audio_end` (seconds, in double precision so that samples of hours-long files are met) say which segment of
    `audio` belongs to the row, None for the file's border. `video` says where the picture is: a file, the span of it
    that belongs to the utterance (seconds; the whole file if None), and the `side` ("left" or "right") of a split
    screen that shows the speaker. `votes` are the raters' shares of the classes, in the order of the class ids and
    adding up to 1; None where nobody voted for one. Everything but `id`, `history` and `label` may be None.

    Args:
        labels: Class names, in the order of the class ids.
    """
    return Features(
        {
            "id": Value("string"),
            "corpus": Value("string"),
            "audio": Audio(sampling_rate=SAMPLING_RATE, decode=False),
            **{name: Value("float64") for name in ("audio_start", "audio_end")},
            "video": dict(VIDEO_FEATURES),
            "text": Value("string"),
            "history": List(Value("string")),
            **{name: Value("string") for name in _STRINGS},
            "turn": Value("int32"),
            "label": ClassLabel(names=list(labels)),
            "votes": List(Value("float32")),
            **{name: Value("float32") for name in _FLOATS},
        }
    )


COLUMNS: tuple[str, ...] = tuple(corpus_features(["any"]))


def make_record(**values: Any) -> dict[str, Any]:
    """A row with every column: the given ones, None (empty list for `history`) for the others.

    Args:
        **values: Columns of the schema; `audio` is a path, `video` a path or a dictionary of `VIDEO_FEATURES`, `label`
            the id of a class.
    """
    unknown = set(values) - set(COLUMNS)
    if unknown:
        raise TypeError(f"{sorted(unknown)} are not columns of a corpus; the columns are {', '.join(COLUMNS)}")
    record: dict[str, Any] = dict.fromkeys(COLUMNS)
    record.update(values)
    record["history"] = list(record["history"] or [])
    if isinstance(record["audio"], (str, os.PathLike)):
        record["audio"] = {"bytes": None, "path": os.fspath(record["audio"])}
    if record["video"] is not None:
        video = record["video"] if isinstance(record["video"], Mapping) else {"path": record["video"]}
        record["video"] = {**dict.fromkeys(VIDEO_FEATURES), **video, "path": os.fspath(video["path"])}
    return record


def records_to_table(records: Iterable[Mapping[str, Any]], labels: Sequence[str]) -> pa.Table:
    """Rows as an Arrow table with the schema of `corpus_features`; audio stays a reference.

    Raises:
        CorpusError: If names of files or texts hold bytes that are no UTF-8, which Arrow does not take.
    """
    schema, parts, odd = corpus_features(labels).arrow_schema, [], []
    rows = iter(records)
    while part := list(itertools.islice(rows, _ROWS_AT_ONCE)):
        try:
            parts.append(pa.Table.from_pylist(part, schema=schema))
        except UnicodeEncodeError:
            odd += [(record["id"], text) for record in part for text in _strings(record) if readable(text) != text]
    if odd:
        problems = [f"row {readable(row_id)}: {readable(text)}" for row_id, text in odd]
        raise CorpusError.from_problems(
            "not UTF-8", problems, hint="Rename these files or folders, or correct these texts"
        )
    return pa.concat_tables(parts) if parts else schema.empty_table()


def _strings(value: Any) -> Iterator[str]:
    """Every string in a row."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _strings(part)
    elif isinstance(value, os.PathLike):
        yield os.fspath(value)


def records_to_dataset(
    records: Iterable[Mapping[str, Any]], labels: Sequence[str], cache_dir: str | os.PathLike | None = None
) -> Dataset:
    """Rows as a `Dataset` backed by a file in the cache.

    The file is named after the content: the same rows give the same dataset with the same fingerprint, so what `map`
    computed for it is found again.

    Args:
        records: Rows made by `make_record`.
        labels: Class names.
        cache_dir: Where the Arrow file goes; the cache of `datasets` if not given.
    """
    table = records_to_table(records, labels)
    folder = Path(cache_dir or datasets.config.HF_DATASETS_CACHE) / "hf_mer_corpus"
    folder.mkdir(parents=True, exist_ok=True)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:  # the schema names the classes
        writer.write_table(table)
    content = sink.getvalue()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.arrow"
    if not path.exists():
        with whole(path) as temporary:
            temporary.write_bytes(content)
    return Dataset.from_file(str(path), info=datasets.DatasetInfo(features=corpus_features(labels)))


def dialogue_histories(texts: Sequence[str | None], max_history: int) -> list[list[str]]:
    """The earlier texts of every utterance of one dialogue.

    Args:
        texts: Of **all** utterances, in order of time, the unlabelled ones too; empty ones never become history.
        max_history: At most so many, the latest; 0 for none.

    Returns:
        One list per utterance, oldest first.
    """
    if max_history < 0:
        raise ValueError(f"max_history is {max_history}; it must be 0 (no history) or more")
    from hf_mer.models.words_mer import says_anything  # here, since torch comes with it

    histories: list[list[str]] = []
    earlier: list[str] = []
    for text in texts:
        histories.append(
            earlier[len(earlier) - max_history :] if 0 < max_history < len(earlier) else earlier[:max_history]
        )
        if text is not None and says_anything(text):
            earlier.append(text)
    return histories


def canonical_label(label: Any) -> str:
    """A label without differences that do not show, nor of case: `" Very  Happy"` becomes `"very happy"`."""
    return as_name(label).lower()


def canonical_split(value: Any) -> str | None:
    """The official split that a name means, `train`, `validation` or `test`; None for other names."""
    return _SPLITS.get(str(value).strip().lower())


def canonical_gender(value: Any) -> str:
    """A speaker's gender as scores are told apart by: `female` and `male`, however written; else as it stands."""
    return _GENDERS.get(canonical_label(value), canonical_label(value))


def as_name(value: Any) -> str:
    """A value as the name of a class, speaker or dialogue, the same for all that print alike.

    In composed form, without characters that show nothing; white space is one space; 1.0 is 1.
    """
    from hf_mer.models.words_mer import visible  # here, since torch comes with it

    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return " ".join(visible(str(value)).split())


def label_ids(labels: Iterable[str]) -> dict[str, int]:
    """Canonical form of every class name to its id.

    Raises:
        CorpusError: If two names have the same canonical form, one is empty, or there are none.
    """
    ids: dict[str, int] = {}
    for index, name in enumerate(labels):
        key = canonical_label(name)
        if not key:
            raise CorpusError(f"class {index} has an empty name")
        if key in ids:
            raise CorpusError(f"class {name!r} is given twice (case and spaces do not count)")
        ids[key] = index
    if not ids:
        raise CorpusError("there are no classes: `labels` is empty")
    return ids


def strip_tags(text: str) -> str:
    """A transcript without marks of sounds such as `[LAUGHTER]`."""
    return " ".join(TAG.sub(" ", text).split())


def is_tag_only(text: str) -> bool:
    """Whether a transcript says nothing but marks of sounds, `"[LAUGHTER]"` for one."""
    return bool(TAG.search(text)) and not any(character.isalnum() for character in strip_tags(text))


def column(rows: Dataset, name: str) -> list[Any]:
    """The values of one column as a list, read without touching the others.

    Raises:
        CorpusError: If there is no such column.
    """
    if name not in rows.column_names:
        raise CorpusError(f"the rows have no column {name!r}; they have {', '.join(rows.column_names)}")
    return list(rows.select_columns([name]).with_format(None)[name][:])
