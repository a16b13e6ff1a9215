"""Model cards: text and metadata out of results files; what no results file has is said to be not measured."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from hf_mer.hub import card_sections as sections
from hf_mer.hub.card_facts import CORPORA, SYSTEMS
from hf_mer.hub.card_results import ENCODERS, machine_paths
from hf_mer.hub.card_tables import mean_scores, number_of_utterances
from hf_mer.metrics.scores import SCORE_NAMES

METRICS: dict[str, tuple[str, dict[str, str] | None]] = {
    "wa": ("accuracy", None),
    "ua": ("recall", {"average": "macro"}),
    "wf1": ("f1", {"average": "weighted"}),
}
"""Our scores as metrics of `evaluate`, with their arguments."""


@dataclass(frozen=True)
class CardSpec:
    """What a person says of a configuration; a YAML file of `model_cards/`, or arguments of a command.

    Args:
        name: Of the checkpoint: its folder, or its repository on the Hub.
        system: One of `SYSTEMS`.
        corpus: One of `CORPORA`. A results file cannot tell a generated corpus from the one whose layout it has.
        title: Of the card; system and corpus if not given.
        recipe: Name of the settings in `recipes/configs`.
        labels: Classes, where no results file has them.
        notes: Anything particular: departures from the paper, what was chosen on what. Markdown.
        base_model: Repositories of the encoders on the Hub; those that the settings name if not given.
        published: What papers report: `title`, `source`, and any of `wa`, `ua`, `wf1` in %.
        references: What to compare with: `title`, and any of `wa`, `ua`, `wf1` as fractions.
        figures: Paths relative to the card.
        emissions: Grams of CO2 (`emissions`), where known, and how (`source`).

    Raises:
        ValueError: If system or corpus are not known, or emissions have no source.
    """

    name: str
    system: str
    corpus: str
    title: str | None = None
    recipe: str | None = None
    labels: Sequence[str] = ()
    notes: str = ""
    base_model: Sequence[str] | None = None
    published: Sequence[Mapping[str, Any]] = ()
    references: Sequence[Mapping[str, Any]] = ()
    figures: Sequence[str] = ()
    emissions: Mapping[str, Any] | None = field(default=None)

    def __post_init__(self) -> None:
        for what, value, known in (("system", self.system, SYSTEMS), ("corpus", self.corpus, CORPORA)):
            if value not in known:
                raise ValueError(f"{self.name}: {what} '{value}' is not one of {', '.join(known)}")
        for key, rows in (("published", self.published), ("references", self.references)):
            needed = {"title", "source"} if key == "published" else {"title"}
            for row in rows:
                if not needed <= set(row) or not set(row) <= needed | set(SCORE_NAMES):
                    raise ValueError(
                        f"{self.name}: {key} has a row {dict(row)}; it wants {', '.join(sorted(needed))} and any of "
                        f"{', '.join(SCORE_NAMES)}"
                    )
        if self.emissions is not None and set(self.emissions) != {"emissions", "source"}:
            raise ValueError(f"{self.name}: emissions want emissions (grams of CO2) and source, got {self.emissions}")

    @classmethod
    def from_yaml(cls, path: str | Path) -> "CardSpec":
        """Reads a specification; the file's name is the checkpoint's.

        Raises:
            ValueError: If a key is not known or one is missing; the message names the file.
        """
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        known = {item.name for item in fields(cls)} - {"name"}
        if not isinstance(content, dict) or not {"system", "corpus"} <= set(content) <= known:
            found = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise ValueError(f"{path}: wants system, corpus and any of {', '.join(sorted(known))}; it has {found}")
        return cls(name=Path(path).stem, **content)


def model_card(spec: CardSpec, content: Mapping[str, Any], source: str = "results.json") -> ModelCard:
    """A card: `str(card)` is the README.md of a checkpoint, `card.data` its metadata, `card.push_to_hub` sends it.

    Args:
        spec: What a person says.
        content: Of `card_results`: what was measured.
        source: What the card says it was written from.

    Raises:
        ValueError: If the runs are of another system, or something names an absolute path: a card is read by others.
    """
    if (ran := content["settings"].get("type", spec.system)) != spec.system:
        raise ValueError(f"{spec.name} is said to be {spec.system}, its results are of {ran}")
    system, corpus, modalities = SYSTEMS[spec.system], CORPORA[spec.corpus], _modalities(spec, content)
    title = spec.title or f"{system.title} on {corpus.title}"
    text = Template((resources.files(__package__) / "model_card_template.md").read_text(encoding="utf-8")).substitute(
        metadata=card_metadata(spec, content).to_yaml(),
        source=source,
        title=title,
        about=f"`{system.class_name}` of {system.paper} ([arXiv {system.arxiv}](https://arxiv.org/abs/{system.arxiv})"
        f").\n\n{system.about}\n\n{corpus.about}",
        notes=spec.notes.strip() or "<!-- departures from the paper, what was chosen on what: none noted -->",
        labels=", ".join(content["labels"] or spec.labels) or "<!-- not recorded -->",
        inputs=_listed(
            [sections.INPUTS[name] for name in modalities]
            + ["the dialogue's earlier utterances"] * _uses_history(spec, content)
        ),
        usage=sections.usage(spec.name, modalities, _uses_history(spec, content)),
        results=sections.results(system.title, content, spec.published, spec.references),
        protocol=sections.protocol(content),
        training=sections.training(spec.system, content, spec.recipe),
        keywords=sections.keywords(content),
        figures=sections.figures(spec.figures),
        emissions=sections.emissions(spec.emissions),
        limits=f"- {corpus.limits}",
        probabilities=sections.probabilities(content),
        licence=corpus.licence,
        citation=system.citation,
    )
    if paths := machine_paths(text):
        raise ValueError(f"the card of {spec.name} would name paths of this machine: {', '.join(paths[:5])}")
    return ModelCard(text)


def card_metadata(spec: CardSpec, content: Mapping[str, Any]) -> ModelCardData:
    """What the Hub reads: licence, languages, base models, and the model index with WA, UA and WF1."""
    system, corpus = SYSTEMS[spec.system], CORPORA[spec.corpus]
    modalities = _modalities(spec, content)
    task = "audio-classification" if "speech" in modalities else (
        "video-classification" if "video" in modalities else "text-classification"
    )  # fmt: skip
    scores = mean_scores(content)
    further: dict[str, Any] = {"co2_eq_emissions": dict(spec.emissions)} if spec.emissions else {}
    return ModelCardData(
        language=corpus.language,
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag=task,
        tags=["emotion-recognition", "multimodal-emotion-recognition", spec.system, *modalities, "custom_code",
              f"arxiv:{system.arxiv}", *([] if corpus.real else ["generated-corpus"])],
        datasets=[corpus.dataset] if corpus.dataset else None,
        base_model=_base_models(spec, content),
        metrics=[METRICS[name][0] for name in SCORE_NAMES],
        model_name=spec.name if scores else None,
        eval_results=_eval_results(spec, content, task, scores) if scores else None,
        **further,
    )  # fmt: skip


def _eval_results(
    spec: CardSpec, content: Mapping[str, Any], task: str, scores: Mapping[str, float]
) -> list[EvalResult]:
    corpus, runs, summary = CORPORA[spec.corpus], content["runs"], content.get("summary", {})
    utterances = number_of_utterances(runs) if runs else summary.get("utterances")
    arguments = {"utterances": utterances, "protocol": content["settings"].get("protocol"),
                 "runs": len(runs) or max(entry["n"] for entry in summary["scores"].values())}  # fmt: skip
    return [
        EvalResult(
            task_type=task,
            task_name="Emotion recognition",
            dataset_type=corpus.dataset or f"hf_mer-{spec.corpus.replace('_', '-')}",
            dataset_name=corpus.title,
            dataset_config=content["settings"].get("task") if corpus.dataset else None,
            dataset_split="test",
            dataset_args={key: value for key, value in arguments.items() if value is not None},
            metric_type=METRICS[name][0],
            metric_name=name.upper(),
            metric_value=round(scores[name], 4),
            metric_args=METRICS[name][1],
        )
        for name in SCORE_NAMES
        if name in scores
    ]


def _base_models(spec: CardSpec, content: Mapping[str, Any]) -> list[str] | None:
    if spec.base_model is not None:
        return list(spec.base_model) or None
    settings, local = content["settings"], content["local"]
    named = [settings.get(key) for key in ENCODERS[:3] if key not in local]
    return [name for name in named if isinstance(name, str)] or None


def _modalities(spec: CardSpec, content: Mapping[str, Any]) -> list[str]:
    return list(content["settings"].get("modalities") or SYSTEMS[spec.system].modalities)


def _uses_history(spec: CardSpec, content: Mapping[str, Any]) -> bool:
    return bool(content["settings"].get("use_history", True)) and "text" in _modalities(spec, content)


def _listed(words: Sequence[str]) -> str:
    return re.sub(r", ([^,]+)$", r" and \1", ", ".join(words))
