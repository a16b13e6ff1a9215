"""From a checkpoint and a corpus to the report."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.data.checks import check_test_labels
from hf_mer.data.schema import column
from hf_mer.evaluation.condition import ConditionSettings, all_conditions
from hf_mer.evaluation.logits import predict_conditions, transcripts_with_errors
from hf_mer.evaluation.other_corpus import corpus_facts
from hf_mer.evaluation.rows import RowSettings, check_rows, choose_rows
from hf_mer.evaluation.scoring import score_conditions
from hf_mer.evaluation.sound import Babble
from hf_mer.training.corpus import read_mapped, rows_without
from hf_mer.training.environment import environment
from hf_mer.training.group_scores import group_scores
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.roles import Role, names_with

logger = logging.getLogger(__name__)


def evaluate_conditions(
    recognizer: Any,
    data: DataArguments,
    *,
    settings: ConditionSettings | None = None,
    chosen: RowSettings | None = None,
    trained: Mapping[str, Any] | None = None,
    batch_size: int = 16,
    num_resamples: int = 1000,
    progress: bool = True,
) -> dict[str, Any]:
    """Evaluates a checkpoint on a corpus as it is and under every condition.

    Args:
        recognizer: Of `hf_mer.prediction.load.load_recognizer`.
        data: The corpus, and whether history is used.
        settings: How strong conditions are.
        chosen: Which rows; the test part of the checkpoint's fold by default.
        trained: Of `training_results`, what is known of the checkpoint's training.
        batch_size: Utterances at once.
        num_resamples: Of the bootstrap.
        progress: Whether a bar shows how far it is.

    Returns:
        `conditions` (see `score_conditions`), `by_group` (of everything, see `group_scores`), `model`, `rows`,
        `settings`, `minutes` and `environment`.

    Raises:
        ValueError: If corpus and checkpoint do not fit, or there is nothing to evaluate.
    """
    started, settings = time.perf_counter(), settings or ConditionSettings()
    config, processor = recognizer.model.config, recognizer.processor
    labels = [config.id2label[index] for index in range(config.num_labels)]
    corpus, left_out = read_mapped(data, labels, "the checkpoint")
    rows, name = choose_rows(corpus, chosen or RowSettings(), dict(trained or {}), data)
    rows = check_rows(rows, processor, config.modalities, data)
    lacking = rows_without(rows, config.modalities, data.use_history)
    check_test_labels(rows, range(len(rows)), name)
    facts = corpus_facts(rows, data, trained or {}, left_out)
    seen = [name for name in config.modalities if lacking.get(name, 0) < len(rows)]
    if absent := [name for name in config.modalities if name not in seen]:
        logger.warning("no row has %s: conditions of it are left out", " or ".join(absent))
    conditions = all_conditions(seen, settings)
    wrong_words = transcripts_with_errors(rows, conditions, settings)
    babble = None
    if any(one.kind == "babble" for one in conditions):
        others = _others(corpus, rows)
        babble = Babble(others, processor.sampling_rate, processor.max_audio_seconds, settings.seed)
    logger.info("%d utterances (%s) under %d conditions", len(rows), name, len(conditions))
    predicted = predict_conditions(
        recognizer,
        rows,
        conditions,
        settings,
        wrong_words=wrong_words,
        babble=babble,
        use_history=data.use_history,
        batch_size=batch_size,
        progress=progress,
    )
    truth = np.array(column(rows, "label"))
    scored = score_conditions(
        conditions,
        predicted,
        truth,
        config.num_labels,
        texts=list(zip(column(rows, "id"), column(rows, "text"), strict=True)),
        wrong_words=wrong_words,
        num_resamples=num_resamples,
        seed=settings.seed,
    )
    return {
        "model": {
            "type": config.model_type,
            "modalities": list(config.modalities),
            "labels": labels,
            "temperatures": dict(config.temperatures),
        },
        "rows": {
            "name": name,
            "utterances": len(rows),
            **({"without": lacking} if lacking else {}),
            "corpus": data.corpus,
            "use_history": data.use_history,
            **facts,
        },
        "settings": {key: _plain(value) for key, value in vars(settings).items()},
        "conditions": scored,
        "by_group": group_scores(rows, truth, predicted[0].logits.argmax(axis=1), config.num_labels),
        "minutes": round((time.perf_counter() - started) / 60, 2),
        "environment": environment(1),
    }


def data_settings(trained: Mapping[str, Any], data_dir: str | Path, corpus: str, **wanted: Any) -> DataArguments:
    """How the corpus is read: as in the checkpoint's training if it is the same one, apart from what is asked for.

    Args:
        trained: Of `training_results`.
        data_dir: Root of the corpus, or the manifest.
        corpus: Which one.
        **wanted: Fields of `DataArguments`; None for what is not asked for.
    """
    known = dict(trained.get("settings", {}).get("data", {})) if trained else {}
    read = set(names_with(Role.LOADS | Role.DECIDES, DataArguments)) - set(names_with(Role.LIMITS, DataArguments))
    own = {name: known[name] for name in read if name in known} if known.get("corpus") == corpus else {}
    given = {name: value for name, value in wanted.items() if value is not None}
    return DataArguments(**{**own, **given, "corpus": corpus, "data_dir": str(data_dir)})


def _others(corpus: Dataset, rows: Dataset) -> Dataset:
    """Rows that are not evaluated, for babble; all, if there are none with sound."""
    tested = set(column(rows, "id"))
    ids, audio = column(corpus, "id"), column(corpus, "audio")
    rest = [index for index, row_id in enumerate(ids) if row_id not in tested and audio[index] is not None]
    return corpus.select(rest) if rest else corpus


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
