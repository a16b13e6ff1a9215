"""What a reader of scores must know where a checkpoint meets another corpus than its own."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from hf_mer.data.mark import is_generated
from hf_mer.data.schema import column
from hf_mer.training.corpus import language_of
from hf_mer.training.settings.arguments import DataArguments

logger = logging.getLogger(__name__)


def corpus_facts(
    rows: Dataset, data: DataArguments, trained: Mapping[str, Any], left_out: Mapping[str, int]
) -> dict[str, Any]:
    """How the rows differ from what the checkpoint was trained on, each fact only where there is something to say.

    Args:
        rows: That are evaluated, with the classes of the checkpoint.
        data: The corpus.
        trained: Of `training_results`.
        left_out: Rows that the label map left out, by their label.

    Returns:
        `trained_on` (another corpus), `label_map`, `left_out`, `classes_without_rows`, and `languages` (of the
        training and of the rows, if none is the same).
    """
    facts: dict[str, Any] = {}
    if other := trained_on(trained, data):
        facts["trained_on"] = other
    if data.label_map:
        facts["label_map"] = data.label_map
    if left_out:
        facts["left_out"] = dict(left_out)
    names, found = rows.features["label"].names, set(column(rows, "label"))
    if absent := [name for index, name in enumerate(names) if index not in found]:
        facts["classes_without_rows"] = absent
    if languages := _languages(trained, data):
        facts["languages"] = languages
    for line in told({name: facts[name] for name in ("classes_without_rows", "languages") if name in facts}):
        logger.warning("%s", line)
    return facts


def trained_on(trained: Mapping[str, Any], data: DataArguments) -> str | None:
    """The corpora of a checkpoint's training if none of them is evaluated; None if one is, or nobody knows."""
    corpora = _corpora(trained)
    return ", ".join(corpora) if corpora and not set(corpora) & set(data.corpora) else None


def told(facts: Mapping[str, Any]) -> list[str]:
    """Facts of `corpus_facts` as sentences."""
    lines = []
    if "trained_on" in facts:
        lines.append(f"The checkpoint was trained on another corpus: {facts['trained_on']}.")
    if "label_map" in facts:
        pairs = ", ".join(f"{label}={name}" for label, name in facts["label_map"].items() if name is not None)
        lines += [f"Labels of the corpus are read as classes of the checkpoint: {pairs}."] if pairs else []
    if "left_out" in facts:
        counts = ", ".join(f"{count} of {label}" for label, count in facts["left_out"].items())
        lines.append(f"Rows left out by the label map: {counts}.")
    if "classes_without_rows" in facts:
        lines.append(
            f"No utterance is {', '.join(facts['classes_without_rows'])}: UA and WF1 are over the classes that occur; "
            "the checkpoint may still predict the others, which is always wrong."
        )
    if "languages" in facts:
        theirs, ours = facts["languages"]
        lines.append(f"The checkpoint was trained on {', '.join(theirs)} speech, these rows are {', '.join(ours)}.")
    return lines


def warn_of_training_rows(count: int, trained: Mapping[str, Any], data: DataArguments) -> None:
    """Says what is known of rows that are all evaluated: whether the checkpoint was trained on any."""
    if other := trained_on(trained, data):
        logger.info("all %d rows of %s; the checkpoint was trained on %s", count, data.corpus, other)
    elif (corpora := ",".join(_corpora(trained))) not in ("", data.corpus):
        logger.warning(
            "all %d rows of %s, on some of which the checkpoint was trained (%s): scores are too high; "
            "--corpus %s has its test split",
            *(count, data.corpus, corpora, corpora),
        )
    else:
        logger.warning("all %d rows of the corpus are used; whether any were trained on is not known", count)


def _corpora(trained: Mapping[str, Any]) -> list[str]:
    named = trained.get("settings", {}).get("data", {}).get("corpus") if trained else None
    return named.split(",") if named else []


def _languages(trained: Mapping[str, Any], data: DataArguments) -> list[list[str]] | None:
    """Languages of the training and of the rows where both are known and none is the same."""
    if trained.get("generated_corpus") or any(is_generated(Path(path)) for path in data.data_dirs):
        return None  # a made-up corpus has any
    theirs, ours = _spoken(_corpora(trained)), _spoken(data.corpora)
    return [theirs, ours] if theirs and ours and not set(theirs) & set(ours) else None


def _spoken(corpora: Iterable[str]) -> list[str]:
    """Languages of corpora; none where one of them is not known."""
    found = [language_of(name) for name in corpora]
    return [] if None in found else sorted({language for language in found if language})
