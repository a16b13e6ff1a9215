"""What of a trained checkpoint's folder belongs on the Hub."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_mer.data.corpora.public.description import public_names
from hf_mer.hub.cards.card_results import card_results, read_results
from hf_mer.hub.cards.facts import CORPORA, SYSTEMS
from hf_mer.hub.loading import model_folder

_RESULTS, _STORE = "results.json", "label_store.json"
_OF_A_MODEL = (".json", ".safetensors", ".py", ".txt", ".model", ".bpe", ".onnx")


@dataclass(frozen=True)
class Checkpoint:
    """A saved model, and what its training left beside it.

    Attributes:
        model: Folder with `config.json`, weights, processor, label store and code.
        results: Results of its fold, or of all runs that it stands for; empty if there are none.
        figures: PNG files.
    """

    model: Path
    results: list[dict[str, Any]]
    figures: list[Path]

    @property
    def config(self) -> dict[str, Any]:
        """The model's configuration."""
        return json.loads((self.model / "config.json").read_text(encoding="utf-8"))

    @property
    def label_store(self) -> dict[str, Any] | None:
        """The label store's contents, if there is one."""
        path = self.model / _STORE
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def files(self) -> dict[str, Path]:
        """Everything but the card, by its path in the repository."""
        named = {path.name: path for path in sorted(self.model.iterdir()) if path.suffix in _OF_A_MODEL}
        return {**named, **{f"figures/{path.name}": path for path in self.figures}}

    def content(self) -> dict[str, Any]:
        """What the card is written from, without traces of this machine; also the repository's `results.json`."""
        return card_results(self.current_results(), config=self.config, label_store=self.label_store)

    def current_results(self) -> list[dict[str, Any]]:
        """The results, without temperatures where the model has dropped its own."""
        return self.results if self.config.get("temperatures") else [_uncalibrated(one) for one in self.results]

    def card(self, name: str, corpus: str | None = None, **spec: Any) -> str:
        """The model card.

        Args:
            name: Of the repository.
            corpus: One of `CORPORA`; if not given, what the results say, else `own`.
            **spec: Further fields of `CardSpec`.
        """
        from hf_mer.hub.cards.model_card import CardSpec, model_card  # with libraries that only a card needs

        figures = [f"figures/{path.name}" for path in self.figures]
        told: dict[str, Any] = {} if corpus else self._of_several()
        if self.results and "corpus_language" in self.results[0]:
            told["language"] = self.results[0]["corpus_language"]
        given = {key: value for key, value in spec.items() if value or key not in told}
        made = CardSpec(
            name, self.config["model_type"], corpus or self.corpus, **{"figures": figures, **told, **given}
        )
        return str(model_card(made, self.content()))

    @property
    def corpus(self) -> str:
        """What it was trained on, as `CORPORA` names it."""
        if not self.results:
            return "own"
        name = self.results[0]["settings"].get("data", {}).get("corpus")
        generated = self.results[0].get("generated_corpus", False)
        known = {("iemocap", True): "generated", ("meld", True): "generated_meld"}
        return known.get((name, generated)) or (name if name in ("iemocap", "meld", *public_names()) else "own")

    def _of_several(self) -> dict[str, str]:
        """Title and notes of a card, where it was trained on several corpora: which they are, and their licences."""
        named = self.results[0]["settings"].get("data", {}).get("corpus") if self.results else None
        names = (named or "").split(",")
        if len(names) < 2:
            return {}
        facts = [CORPORA.get(name, {"title": Path(name).stem, "licence": CORPORA["own"]["licence"]}) for name in names]
        titles = ", ".join(one["title"] for one in facts)
        licences = "\n".join(f"- {one['title']}: {one['licence'].strip()}" for one in facts)
        system = SYSTEMS[self.config["model_type"]]["title"]
        return {
            "title": f"{system} on {titles}",
            "notes": f"Trained on several corpora, whose terms all apply:\n\n{licences}",
        }


def _uncalibrated(results: dict[str, Any]) -> dict[str, Any]:
    """Results without temperatures, of a model that has none: they are dropped where its weights are trained on."""
    if not results.get("calibration", {}).get("temperatures"):
        return results
    none: dict[str, Any] = {"source": None, "temperatures": {}, "thresholds": {}}
    return {**results, "calibration": {**results["calibration"], **none}}


def find_checkpoint(path: str | Path, results: Sequence[str | Path] = ()) -> Checkpoint:
    """A checkpoint out of a fold's folder (`runs/le_mer/Ses05`) or of its model's (`runs/le_mer/Ses05/model`).

    Args:
        path: The folder.
        results: Results files or folders of the runs that the card is about; the fold's own if not given.

    Raises:
        ValueError: If there is no model, or the folder holds several folds; the message names them.
    """
    model = model_folder(path)
    fold = model.parent if model.name == "model" else model
    sources = list(results) or [fold / _RESULTS] * (fold / _RESULTS).is_file()
    return Checkpoint(model, read_results(*sources), sorted((fold / "figures").glob("*.png")))
