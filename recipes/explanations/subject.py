"""An utterance whose explanations are examined: loaded once, with its places and what the model says of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from hf_mer.evaluation.evaluating import data_settings
from hf_mer.evaluation.rows import RowSettings, choose_rows, training_results
from hf_mer.models.coalitions_mer import LogProbabilities, Variant
from hf_mer.models.explain_settings_mer import BUDGET, PLAYERS
from hf_mer.models.places_mer import Places, places_of
from hf_mer.models.segments_mer import audio_of
from hf_mer.models.utterances_mer import UtteranceLoader
from hf_mer.training.corpus import read_mapped


def tested_rows(checkpoint: str | Path, data_dir: str | Path, labels: list[str]) -> Dataset:
    """The test part of a checkpoint's fold, by the `predictions.csv` beside it; without history as in its training.

    Args:
        checkpoint: Folder of a fold, or of the model in it.
        data_dir: The corpus that it was trained on.
        labels: Of the model.

    Raises:
        ValueError: If the folder is not that of a finished training, or the corpus is another one.
    """
    trained = training_results(checkpoint)
    if not trained or not (trained["folder"] / "predictions.csv").is_file():
        raise ValueError(f"{checkpoint} has no results.json and predictions.csv beside it: its test split is unknown")
    data = data_settings(trained, data_dir, trained["settings"]["data"]["corpus"])
    rows, _ = read_mapped(data, labels, "the checkpoint")
    chosen = choose_rows(rows, RowSettings(), trained, data)[0]
    return chosen if data.use_history else chosen.remove_columns("history")


def drawn(rows: Dataset, count: int | None, seed: int = 0) -> Iterator[dict[str, Any]]:
    """So many rows in a random order; all of them for None. A smaller count takes the first of a larger one's."""
    order = np.random.default_rng(seed).permutation(len(rows))
    yield from (rows[int(index)] for index in order[:count])


class Subject:
    """One utterance.

    Args:
        recognizer: Of `load_recognizer`.
        row: Of a corpus.
        budget: Of `explain`.

    Attributes:
        item: As the pipeline takes it.
        utterance: Loaded, with what explanations need.
        whole: All of it, as the model sees it.
        places: Its places by player.
        label: Index of its true class.
        outcomes: Calibrated log-probabilities of the classes. Shape `(C,)`.
        predicted: Index of the predicted class.
    """

    def __init__(self, recognizer: Any, row: Mapping[str, Any], budget: int = BUDGET):
        self.recognizer, self.model, self.processor = recognizer, recognizer.model, recognizer.processor
        self.id, self.label, self.budget = row["id"], row["label"], budget
        given = {"audio": audio_of(row), **{name: row.get(name) for name in ("video", "text", "history")}}
        self.item = {name: value for name, value in given.items() if value is not None}
        loader = UtteranceLoader(self.processor, self.model.config.modalities, explains=True)
        self.utterance = loader(self.item)
        self.whole = Variant.of(self.utterance, self.processor)
        found = places_of(self.whole, self.utterance, self.processor, PLAYERS)
        self.places: dict[str, Places] = {places.player: places for places in found}
        self.outcomes = self.ask([self.whole])[0]
        self.predicted = int(self.outcomes.argmax())

    @property
    def labels(self) -> list[str]:
        return [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    def ask(self, variants: list[Variant]) -> np.ndarray:
        """Calibrated log-probabilities of variants of the utterance. Shape `(N, C)`."""
        sound = self.utterance.sound
        seconds = 0.0 if sound is None else len(sound) / self.processor.sampling_rate
        return LogProbabilities(self.model, self.processor, self.whole, seconds)(variants)

    def with_left(self, player: str, chosen: np.ndarray) -> Variant:
        """The utterance with these places of a player left, and everything else; none left is the player missing.

        Args:
            player: Whose places.
            chosen: Bool. Shape `(P,)`.
        """
        if not chosen.any():
            return self.whole.only([name for name in self.whole.players if name != player])
        return self.whole.with_changed(self.places[player].left(chosen))
