"""The sections of a card that depend on the run: use, protocol, training, keywords, figures, emissions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from hf_mer.files import markdown_table
from hf_mer.hub.card_tables import (
    NOT_MEASURED,
    NOT_RECORDED,
    calibration_table,
    confusion_table,
    is_calibrated,
    part_tables,
    per_class_table,
    runs_table,
    scores_table,
)

PROTOCOLS = {
    "leave_one_session_out": "every session is the test part once",
    "leave_one_speaker_out": "every speaker is the test part once",
    "fixed_session": "one session is the test part",
    "groups": "every group is the test part once",
    "official": "the corpus' own split",
    "leave_one_main_speaker_out": "every main speaker is the test part once",
}
INPUTS = {"text": "words", "speech": "voice", "video": "picture"}
_EXAMPLE = '"I am so glad you came."'


def usage(model: str, modalities: Sequence[str], history: bool) -> str:
    """Two programs that work: with a pipeline, and with model and processor."""
    first = next((name for name in ("video", "speech") if name in modalities), "text")
    file = {"video": '"clip.mp4"', "speech": '"hello.wav"', "text": ""}[first]
    words = [f"text={_EXAMPLE}"] if "text" in modalities else []
    if words and history:
        words.append('history=["Who is it?"]')
    keys = {"speech": "audio", "video": "video"}
    inputs = [f"{key}={file}" for name, key in keys.items() if name in modalities] + words
    called = ", ".join(([file] if file else []) + words)
    folder = f'"{model}"'
    return f"""`transformers`, `torch` and what reads files (`soundfile`, `torchaudio`, `av`) are all that is needed:
the code travels with the checkpoint. `{model}` is its folder, or its name on the Hub.

```python
from transformers import pipeline

recognise = pipeline("multimodal-emotion-recognition", model={folder}, trust_remote_code=True)
print(recognise({called}))
```

```python
from transformers import AutoModel, AutoProcessor

model = AutoModel.from_pretrained({folder}, trust_remote_code=True)
processor = AutoProcessor.from_pretrained({folder}, trust_remote_code=True)
logits = model(**processor({", ".join(inputs)})).logits[0]
print({{model.config.id2label[i]: round(p, 3) for i, p in enumerate(logits.softmax(-1).tolist())}})
```"""


def results(
    title: str, content: Mapping[str, Any], published: Sequence[Mapping[str, Any]], references: Sequence[Mapping]
) -> str:
    """Scores in all detail that the runs have, as fractions."""
    blocks = [
        "WA is plain accuracy, UA the mean of the classes' recalls, WF1 F1 weighted by support; fractions of 1.",
        scores_table(title, content, published, references),
    ]
    runs = content["runs"]
    if len(runs) > 1:
        blocks += ["### Runs", runs_table(runs)]
    if runs:
        added_up = "Counts of all runs added up." if len(runs) > 1 else ""
        blocks += ["### Classes", added_up, per_class_table(runs), confusion_table(runs)]
        if parts := part_tables(runs):
            blocks += ["### Parts", *parts]
    else:
        missing = NOT_RECORDED if "summary" in content else NOT_MEASURED
        blocks.append(f"Single classes, parts of the corpus, texts that also occur in training: {missing}.")
    blocks += ["### Calibration", _calibration(content)]
    return "\n\n".join(block for block in blocks if block)


def _calibration(content: Mapping[str, Any]) -> str:
    """How far probabilities can be believed."""
    table = calibration_table(content["runs"])
    if not table:
        return f"{(NOT_RECORDED if 'summary' in content else NOT_MEASURED).capitalize()}."
    temperatures = (
        "Logits are divided by a temperature, fitted on validation by its likelihood, before the softmax; utterances "
        "that lack a modality have one of their own."
        if is_calibrated(content["runs"])
        else "Logits are as they are: no temperature was fitted on validation for these weights."
    )
    error = "Expected calibration error: how far confidence and accuracy lie apart, in 15 bins, 0 at best."
    return f"{temperatures} {error}\n\n{table}"


def probabilities(content: Mapping[str, Any]) -> str:
    """What probabilities are worth, for the list of limits."""
    if is_calibrated(content["runs"]):
        return (
            "Probabilities are calibrated on the validation part, see Calibration; on other recordings, and where "
            "words or voice are worse than there, they promise too much."
        )
    return (
        "Probabilities are not calibrated, and without one modality they are flatter still: the ranking is what "
        "counts."
    )


def protocol(content: Mapping[str, Any]) -> str:
    """Folds, what selects the epoch, and the hashes that tell the split."""
    settings, runs = content["settings"], content["runs"]
    name = settings.get("protocol")
    validation = settings.get("validation")
    rule = f"`{validation}`" if validation else "the protocol's own"
    if validation == "none":
        selection = "nothing is selected: the last epoch is tested"
    else:
        selection = (
            f"the epoch with the best {settings.get('metric_for_best_model', 'ua').upper()} on it is tested, once"
        )
    facts = {
        "protocol": f"`{name}` ({PROTOCOLS.get(name, 'see the settings')})" if name else NOT_RECORDED,
        "validation part": f"{rule}; {selection}" if validation != "none" else selection,
        "seeds": _joined(run["seed"] for run in runs) or _joined(content.get("summary", {}).get("seeds", [])),
    }
    facts = {key: value or NOT_MEASURED for key, value in facts.items()}
    text = markdown_table(["", ""], [[key, str(value)] for key, value in facts.items()])
    if not runs:
        return f"{text}\n\nFolds and hash of the split: {NOT_RECORDED if 'summary' in content else NOT_MEASURED}."
    rows = {}
    for run in runs:
        sizes = [str(run["rows"].get(part, "-")) for part in ("train", "validation", "test")]
        rows[tuple(sizes), run["fold"], run.get("split_hash")] = [
            run["fold"], *sizes, f"`{run.get('split_hash', NOT_RECORDED)[:16]}`", f"`{run.get('data_hash', '')[:16]}`",
        ]  # fmt: skip
    header = ["fold", "train", "validation", "test", "hash of the split", "hash of the data"]
    return f"{text}\n\n{markdown_table(header, rows.values())}"


def training(system: str, content: Mapping[str, Any], recipe: str | None) -> str:
    """Size, time, memory, hardware, versions, command (of the recipe where no run tells it), and every setting."""
    runs, summary = content["runs"], content.get("summary", {})
    missing = NOT_RECORDED if summary else NOT_MEASURED
    environments = [run.get("environment", {}) for run in runs]
    memory = {name for run in runs for name in run.get("peak_memory_mib", {})}
    peaks = [f"{max(run['peak_memory_mib'][name] for run in runs):.0f} MiB ({name})" for name in sorted(memory)]
    hardware = _joined(env.get("device") for env in environments) or summary.get("hardware")
    processes = _joined(env.get("processes") for env in environments)
    rows = {
        "parameters": _joined(_parameters(run) for run in runs),
        "minutes a run": _minutes(runs) or summary.get("minutes"),
        "largest memory": ", ".join(peaks) or summary.get("memory"),
        "hardware": f"{hardware}; processes: {processes}" if hardware and processes else hardware,
        "versions": _joined(_versions(env) for env in environments),
        "recipe": f"`recipes/configs/{recipe}.yaml`" if recipe else None,
    }
    blocks = [markdown_table(["", ""], [[key, str(value or missing)] for key, value in rows.items()])]
    commands = list(dict.fromkeys(env["command"] for env in environments if "command" in env))
    if not commands and recipe:
        commands = [f"recipes/train_{system}.py --config recipes/configs/{recipe}.yaml --data_dir DATA_DIR"]
    if commands:
        blocks.append("```\n" + "\n".join(f"accelerate launch {command}" for command in commands) + "\n```")
    if settings := content["settings"]:
        dumped = yaml.safe_dump(dict(settings), sort_keys=True, width=110, allow_unicode=True).strip()
        blocks.append(f"<details><summary>All settings</summary>\n\n```yaml\n{dumped}\n```\n\n</details>")
    return "\n\n".join(blocks)


def keywords(content: Mapping[str, Any]) -> str:
    """Words that stand for each class in the label embeddings."""
    words = content.get("keywords")
    if not words:
        return "<!-- no words stand for the classes: none recorded, or a system without them -->"
    where = f" (fold {content['runs'][0]['fold']}, seed {content['runs'][0]['seed']})" if content["runs"] else ""
    rows = [[label, ", ".join(f"{word} {score:.3f}" for word, score in items)] for label, items in words.items()]
    table = markdown_table(["class", "words (TF-IDF)"], rows)
    return f"Of the training part{where}; they are what the label embeddings begin as.\n\n{table}"


def figures(paths: Sequence[str]) -> str:
    """Pictures beside the card.

    Raises:
        ValueError: If a path is not relative to the card.
    """
    for path in paths:
        if path.startswith(("/", "~", "..")) or ":" in path:
            raise ValueError(
                f"figure '{path}' must lie beside the card: a relative path such as figures/confusion.png"
            )
    if not paths:
        return "<!-- no figures -->"
    names = [path.rpartition("/")[2].rpartition(".")[0].replace("_", " ") for path in paths]
    return "\n\n".join(f"![{name.capitalize()}]({path})" for name, path in zip(names, paths, strict=True))


def emissions(known: Mapping[str, Any] | None) -> str:
    """Emissions of the training, where somebody measured them."""
    if not known:
        return f"{NOT_MEASURED.capitalize()}."
    return f"{known['emissions']} g of CO2 ({known['source']})."


def _joined(values: Any) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values if value is not None))


def _parameters(run: Mapping[str, Any]) -> str | None:
    counts = run.get("parameters")
    if not counts:
        return None
    return f"{counts['all']:,}" + (", all trained" if counts["trained"] == counts["all"] else
                                   f", {counts['trained']:,} of them trained")  # fmt: skip


def _minutes(runs: Sequence[Mapping[str, Any]]) -> str:
    minutes = [run["minutes"] for run in runs if run.get("minutes") is not None]
    if not minutes:
        return ""
    low, high = (f"{value:.1f}" for value in (min(minutes), max(minutes)))
    return low if math.isclose(float(low), float(high)) else f"{low} to {high}"


def _versions(environment: Mapping[str, Any]) -> str | None:
    if "versions" not in environment:
        return None
    python = f"Python {environment['python']}, " if "python" in environment else ""
    return python + ", ".join(f"{name} {number}" for name, number in environment["versions"].items())
