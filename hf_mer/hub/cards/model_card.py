"""Model cards: text and metadata out of results files; what no results file has is marked as not measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from hf_mer.hub.cards import card_tables as tables
from hf_mer.hub.cards.card_results import ENCODERS, machine_paths, recipe_of
from hf_mer.hub.cards.facts import CORPORA, PROTOCOLS, SYSTEMS
from hf_mer.metrics.scores import SCORE_NAMES

METRICS: dict[str, tuple[str, dict[str, str] | None]] = {
    "wa": ("accuracy", None),
    "ua": ("recall", {"average": "macro"}),
    "wf1": ("f1", {"average": "weighted"}),
}
"""Our scores as metrics of `evaluate`, with their arguments."""
_TEMPLATE = Path(__file__).with_name("model_card.md")


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
        notes: Anything particular: departures from the paper, what was chosen on what. Markdown. What is said in them
            "by gender" counts as told in the limits.
        base_model: Repositories of the encoders on the Hub; those that the settings name if not given.
        published: What papers report: `title`, `source`, and any of `wa`, `ua`, `wf1` in %.
        references: What to compare with: `title`, and any of `wa`, `ua`, `wf1` as fractions.
        figures: Paths relative to the card.
        folder: Path of the checkpoint that the examples load, where it is in no repository.
        language: ISO 639 code of what the corpus speaks, where it is not the one that `CORPORA` has.
        emissions: Grams of CO2 (`emissions`), where known, and how (`source`).

    Raises:
        ValueError: If system or corpus are not known, emissions have no source, or a figure's path is not relative.
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
    folder: str | None = None
    language: str | None = None
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
                        f"{self.name}: {key} has a row {dict(row)}; it needs {', '.join(sorted(needed))}, and may "
                        f"have any of {', '.join(SCORE_NAMES)}"
                    )
        if self.emissions is not None and set(self.emissions) != {"emissions", "source"}:
            raise ValueError(
                f"{self.name}: emissions needs the keys emissions (grams of CO2) and source, got {self.emissions}"
            )
        for path in self.figures:
            if path.startswith(("/", "~", "..")) or ":" in path:
                raise ValueError(
                    f"figure '{path}' must lie beside the card: a relative path such as figures/confusion.png"
                )

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
            raise ValueError(
                f"{path}: needs system and corpus, and may have any of {', '.join(sorted(known))}; it has {found}"
            )
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
        raise ValueError(f"{spec.name} is declared as {spec.system}, but its results are of {ran}")
    modalities = _modalities(spec, content)
    card = ModelCard.from_template(
        card_metadata(spec, content),
        template_path=str(_TEMPLATE),
        spec=spec,
        system=SYSTEMS[spec.system],
        corpus=CORPORA[spec.corpus],
        source=source,
        modalities=modalities,
        history="text" in modalities and content["settings"].get("use_history", True),
        **{"summary": {}, "keywords": {}, **content},
        **_measured(spec, content),
    )
    if paths := machine_paths(str(card)):
        raise ValueError(f"the card of {spec.name} would name paths of this machine: {', '.join(paths[:5])}")
    return card


def _measured(spec: CardSpec, content: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows of runs: tables, texts and numbers."""
    runs, settings = content["runs"], content["settings"]
    commands = list(dict.fromkeys(filter(None, (run.get("environment", {}).get("command") for run in runs))))
    if not commands and spec.recipe:
        commands = [f"recipes/train_{spec.system}.py --config recipes/configs/{spec.recipe}.yaml --data_dir DATA_DIR"]
    recipe = spec.recipe or next(filter(None, map(recipe_of, commands)), None)
    dumped = yaml.safe_dump(dict(settings), sort_keys=True, width=110, allow_unicode=True).strip()
    return {
        "missing": tables.NOT_RECORDED if "summary" in content else tables.NOT_MEASURED,
        "utterances": tables.number_of_utterances(runs),
        "scores_table": tables.scores_table(SYSTEMS[spec.system]["title"], content, spec.published, spec.references),
        "runs_table": tables.runs_table(runs),
        "class_tables": tables.class_tables(runs) if runs else [],
        "part_tables": tables.part_tables(runs),
        "group_tables": tables.group_tables(runs),
        "genders_told": "by gender" in (spec.notes or "").lower()
        or any(run["test"].get("by_group", {}).get("gender") for run in runs),
        "rater_divergence": tables.rater_divergence(runs),
        "calibration_table": tables.calibration_table(runs),
        "calibrated": tables.is_calibrated(runs),
        "protocol": PROTOCOLS.get(settings.get("protocol"), "see the settings"),
        "folds_table": tables.folds_table(runs),
        "training": {
            **tables.training_facts(runs, content.get("summary", {}), recipe, settings.get("lora_rank")),
            **tables.label_facts(settings),
        },
        "commands": commands,
        "placeholders": _placeholders(spec, commands, content["runs"]),
        "settings_yaml": dumped,
    }


def _placeholders(spec: CardSpec, commands: Sequence[str], runs: Sequence[Mapping[str, Any]]) -> str:
    """What the names in the commands stand for that only whoever runs them can fill in."""
    corpus = CORPORA[spec.corpus]
    layout = " --layout meld" if spec.corpus == "generated_meld" else ""
    language = f" --language {spec.language}" if spec.language not in (None, corpus["language"]) else ""
    told = {
        "DATA_DIR": "the table or folder of the recordings" if spec.corpus == "own" else
        f"the folder of {corpus['title']}" if corpus["real"] else
        f"a folder that `hf-mer generate DATA_DIR{layout}{language}` writes",
        "CONFIG": "a file with the settings below",
    }  # fmt: skip
    return "\n".join(
        f"`{name}` is {meaning}." for name, meaning in told.items() if any(f" {name}" in line for line in commands)
    )


def card_metadata(spec: CardSpec, content: Mapping[str, Any]) -> ModelCardData:
    """What the Hub reads: licence, languages, base models, and the model index with WA, UA and WF1."""
    system, corpus = SYSTEMS[spec.system], CORPORA[spec.corpus]
    modalities = _modalities(spec, content)
    task = "audio-classification" if "speech" in modalities else (
        "video-classification" if "video" in modalities else "text-classification"
    )  # fmt: skip
    scores = tables.mean_scores(content)
    further: dict[str, Any] = {"co2_eq_emissions": dict(spec.emissions)} if spec.emissions else {}
    return ModelCardData(
        language=spec.language or corpus["language"],
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag=task,
        tags=["emotion-recognition", "multimodal-emotion-recognition", spec.system, *modalities, "custom_code",
              f"arxiv:{system['arxiv']}", *([] if corpus["real"] else ["generated-corpus"])],
        datasets=[corpus["dataset"]] if corpus["dataset"] else None,
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
    utterances = tables.number_of_utterances(runs) if runs else summary.get("utterances")
    arguments = {"utterances": utterances, "protocol": content["settings"].get("protocol"),
                 "runs": len(runs) or max(entry["n"] for entry in summary["scores"].values())}  # fmt: skip
    return [
        EvalResult(
            task_type=task,
            task_name="Emotion recognition",
            dataset_type=corpus["dataset"] or f"hf_mer-{spec.corpus.replace('_', '-')}",
            dataset_name=corpus["title"],
            dataset_config=content["settings"].get("task") if corpus["dataset"] else None,
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
    return list(content["settings"].get("modalities") or SYSTEMS[spec.system]["modalities"])
