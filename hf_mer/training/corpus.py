"""The corpus of a run: loaded, checked, and cut down to the rows of which the system sees anything."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.check_files import check_audio, check_video
from hf_mer.data.checks import check_text
from hf_mer.data.combining import combine_corpora
from hf_mer.data.corpora.iemocap import load_iemocap
from hf_mer.data.corpora.manifest import load_corpus
from hf_mer.data.corpora.meld import load_meld
from hf_mer.data.corpora.public.description import describe, is_public
from hf_mer.data.corpora.public.loading import load_public
from hf_mer.data.label_map import map_labels, mapped_classes
from hf_mer.data.mark import is_generated, read_mark
from hf_mer.data.protocols.folds import Fold, find_fold, keep_ids
from hf_mer.data.protocols.make_folds import make_folds
from hf_mer.data.schema import CorpusError, column, label_ids
from hf_mer.hub.cards.facts import CORPORA
from hf_mer.models.words_mer import has_words
from hf_mer.training.settings.arguments import DataArguments

logger = logging.getLogger(__name__)

MEDIA = {"speech": "audio", "video": "video"}  # columns of the modalities that are files


def load_rows(
    arguments: DataArguments, modalities: list[str], tested: Callable[[Dataset], Iterable[int]] | None = None
) -> Dataset:
    """The corpus, checked: every recording is decoded once before anything is trained.

    With `on_bad_audio: skip` what cannot be used is taken out of its row; a row of which nothing is left goes too.

    Args:
        arguments: The corpus.
        modalities: What the system sees.
        tested: Which of all rows are scored. Of these none may go: scores of other rows are no scores of the corpus.

    Raises:
        CorpusError: If the corpus is not what it should be; all bad rows in one message.
    """
    rows = check_recordings(read_rows(arguments), modalities, arguments, arguments)
    if "text" in modalities:
        check_text(rows)
        for corpus in arguments.corpora:
            _warn_of_fixed_sentences(corpus)
    return _visible(rows, modalities, arguments, tested)


def _warn_of_fixed_sentences(corpus: str) -> None:
    """Says that words tell nothing where every sentence is said in every emotion."""
    described = describe(corpus) if is_public(corpus) else None
    if described is not None and described.num_sentences:
        logger.warning("%s has %d fixed sentences, said in every emotion: the text carries no information, and "
                       "any gain from it is chance", described.title, described.num_sentences)  # fmt: skip


def check_recordings(rows: Dataset, modalities: Sequence[str], arguments: DataArguments, limits: Any) -> Dataset:
    """The rows with their durations; with `on_bad_audio: skip` files that cannot be used are out of their rows.

    Args:
        rows: Of `read_rows`.
        modalities: What the system sees.
        arguments: The corpus.
        limits: Has `max_audio_seconds`, `num_frames` and `max_video_seconds`: the arguments, or a processor.

    Raises:
        CorpusError: If files are bad.
    """
    on_bad = "blank" if arguments.on_bad_audio == "skip" else arguments.on_bad_audio
    how: Any = {"on_bad": on_bad, "num_proc": arguments.num_proc}
    if "speech" in modalities:
        beside = [modality for modality in modalities if modality != "speech"]
        rows = check_audio(rows, max_duration=limits.max_audio_seconds, beside=beside, **how)
    if "video" in modalities:
        rows = check_video(rows, num_frames=limits.num_frames, max_seconds=limits.max_video_seconds, **how)
    return rows


def read_rows(arguments: DataArguments) -> Dataset:
    """The corpus as its loader gives it, recordings unchecked: for those who know which rows are good.

    Several corpora become one, and labels are mapped, see `hf_mer.data.label_map`.

    Raises:
        CorpusError: If a corpus is not what it should be, or its labels do not fit.
    """
    if len(arguments.corpora) == 1 and arguments.label_map is None:
        return _read_corpus(arguments)
    return read_mapped(arguments)[0]


def read_mapped(
    arguments: DataArguments, classes: Sequence[str] | None = None, of: str = "the run"
) -> tuple[Dataset, dict[str, int]]:
    """One corpus or several, their labels mapped.

    Args:
        arguments: The corpora.
        classes: The classes of the rows; those of `arguments.labels` if not given, else those that all corpora have.
        of: Whose classes they are, for messages.

    Returns:
        The rows, and how many the label map left out, by their label.

    Raises:
        CorpusError: With everything about labels and classes that does not fit.
    """
    label_map: Any = arguments.label_map or {}
    corpora = {name: _read_corpus(part) for name, part in arguments.parts().items()}
    classes = classes or arguments.labels or mapped_classes(corpora, label_map)
    label_ids(classes)
    mapped, left_out = map_labels(corpora, label_map, classes, of)
    return (next(iter(mapped.values())) if len(mapped) == 1 else combine_corpora(mapped)), left_out


def _read_corpus(arguments: DataArguments) -> Dataset:
    """One corpus, its labels as they are."""
    source: Any = arguments.data_dir
    task: Any = arguments.task
    columns: Any = arguments.columns
    if arguments.corpus == "iemocap":
        return load_iemocap(source, task, max_history=arguments.max_history, split_screen=arguments.split_screen)
    if arguments.corpus == "meld":
        return load_meld(source, task, max_history=arguments.max_history)
    if is_public(arguments.corpus):
        return load_public(arguments.corpus, source)
    own: Any = {"columns": columns, "labels": arguments.labels, "encoding": arguments.encoding}
    return load_corpus(source, **own, max_history=arguments.max_history)


def corpus_language(arguments: DataArguments) -> str | None:
    """ISO 639 code of the language of a corpus, as it states itself; None where it does not, such as a manifest.

    Also None of several corpora that differ.
    """
    found = {
        read_mark(path).get("settings", {}).get("language", "en") if is_generated(path) else language_of(corpus)
        for corpus, path in zip(arguments.corpora, arguments.data_dirs, strict=True)
    }
    return found.pop() if len(found) == 1 else None


def language_of(corpus: str) -> str | None:
    """ISO 639 code of the language of a published corpus; None where nobody knows, such as of a manifest.

    Nor of a description that is not there: a checkpoint may have been trained on another machine.
    """
    if corpus not in CORPORA and is_public(corpus):
        return describe(corpus).language if Path(corpus).expanduser().is_file() else None
    return CORPORA.get(corpus, {}).get("language")


def _visible(
    rows: Dataset,
    modalities: list[str],
    arguments: DataArguments,
    tested: Callable[[Dataset], Iterable[int]] | None,
) -> Dataset:
    """Rows of which the system sees anything; the others are bad rows."""
    unseen = unseen_rows(rows, modalities, arguments.use_history)
    if not len(unseen):
        return rows
    hint = "on_bad_audio='skip' leaves these rows out of training"
    refused = unseen
    if arguments.on_bad_audio == "skip" and len(unseen) < len(rows):
        refused = np.intersect1d(unseen, list(tested(rows)) if tested is not None else [])
        hint = "These are test rows, and every test row counts in the scores: correct them, or remove them yourself"
    if len(refused):
        raise CorpusError.from_problems("rows", unseen_problems(rows, modalities, refused), hint=hint)
    told = unseen_problems(rows, modalities, unseen)
    logger.warning("%d of %d rows left out, such as %s", len(told), len(rows), told[0])
    return rows.select(np.setdiff1d(np.arange(len(rows)), unseen))


def unseen_rows(rows: Dataset, modalities: Sequence[str], use_history: bool) -> np.ndarray:
    """Indices of the rows that have nothing of what the system sees, ascending."""
    return np.flatnonzero(~np.any([has_modality(rows, name, use_history) for name in modalities], axis=0))


def unseen_problems(rows: Dataset, modalities: Sequence[str], indices: Iterable[int]) -> list[str]:
    """A line for every row that has nothing of what the system sees."""
    ids = column(rows, "id")
    return [f"row {ids[index]}: no {' and no '.join(modalities)} that can be used" for index in indices]


def rows_without(rows: Dataset, modalities: Sequence[str], use_history: bool) -> dict[str, int]:
    """How many rows lack a modality, by its name; those that none lacks are not in it."""
    counts = {name: int((~has_modality(rows, name, use_history)).sum()) for name in modalities}
    return {name: count for name, count in counts.items() if count}


def has_modality(rows: Dataset, name: str, use_history: bool) -> np.ndarray:
    """Which rows have speech, video, or text (history counts as text). Booleans of shape `(len(rows),)`."""
    if name in ("speech", "video"):
        return np.array([item is not None for item in column(rows, MEDIA[name])], dtype=bool)
    texts, histories = column(rows, "text"), column(rows, "history")
    return np.array(
        [has_words(text, turns if use_history else None) for text, turns in zip(texts, histories, strict=True)],
        dtype=bool,
    )


def protocol_folds(rows: Dataset, arguments: DataArguments, seed: int) -> list[Fold]:
    """All folds of the protocol; whether every class can be learnt is asked of those that are run.

    Args:
        rows: Of `load_rows`.
        arguments: The corpus and its protocol.
        seed: For validation speakers that are drawn.

    Raises:
        CorpusError: If the rows lack what the protocol needs, or folds share what they must not.
    """
    folds = make_folds(
        rows,
        arguments.protocol,
        validation=arguments.validation,
        group_column=arguments.group_column,
        num_groups=arguments.num_groups,
        test_session=arguments.test_session,
        seed=seed,
        every_class=False,
    )
    return keep_ids(rows, folds, arguments.train_ids, arguments.test_ids)


def chosen_folds(folds: Sequence[Fold], arguments: DataArguments) -> list[Fold]:
    """The folds that `arguments.folds` names, in its order; all if it names none.

    Raises:
        ValueError: If there is no such fold, or one is named twice.
    """
    if not arguments.folds:
        return list(folds)
    chosen = [find_fold(folds, wanted) for wanted in arguments.folds]
    names = [fold.name for fold in chosen]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"folds: {', '.join(map(repr, twice))} named twice, by name or by position")
    return chosen
