"""What a card shows of results files: a fold's, an experiment's or several seeds', without traces of a machine."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ENCODERS = ("text_encoder", "speech_encoder", "video_encoder", "tokenizer", "feature_extractor", "image_processor")
FOLDERS = ("checkpoint", "unimodal_text", "unimodal_speech")
KEYWORDS_SHOWN = 9
KEPT = ("fold", "rows", "parameters", "minutes", "peak_memory_mib", "layer_weights")
KEPT_OF_TEST = (
    "scores", "intervals_95", "confusion", "scores_by_part", "scores_by_text", "scores_with_one_modality",
    "rater_divergence",
)  # fmt: skip
KEPT_OF_ENVIRONMENT = ("device", "processes", "python", "versions")

_ON_THE_HUB = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_MACHINE_PATH = re.compile(r"(?<![\w.:/<~])(?:~?/(?:[\w.+-]+/)+[\w.+-]*|~/[\w.+-]+)|\b[A-Za-z]:\\[\w.+-]+")
_RECIPE = re.compile(r"(recipes|hf_mer)/configs/(?P<name>\w+)\.yaml")  # of the repository, of the installed package
_FLAG = re.compile(r"--(?P<name>\w+)[ =](?P<value>.+?)(?=\s--\w|\Z)", re.DOTALL)


def machine_paths(text: str) -> list[str]:
    """Absolute paths in a text, such as `/home/me/corpus`; addresses of the web are none."""
    return _MACHINE_PATH.findall(text)


def read_results(*paths: str | Path) -> list[dict[str, Any]]:
    """Results of runs, a fold each.

    Args:
        *paths: Results files of a fold or of an experiment, or folders, of which all folds below count, but for the
            inner ones by which settings were chosen.

    Raises:
        ValueError: If a file is none of these, or a folder has none; the message names it.
    """
    runs: list[dict[str, Any]] = []
    for path in map(Path, paths):
        if not path.is_dir():
            runs += _folds(_read_json(path), str(path))
            continue
        files = [file for file in sorted(path.rglob("results.json")) if not _is_inner(file.relative_to(path))]
        found = [content for file in files if "fold" in (content := _read_json(file))]
        if not found:
            raise ValueError(f"{path}: no results.json of a fold in it or below it")
        runs += found
    return runs


def _is_inner(file: Path) -> bool:
    """Whether a file is that of `<fold>/nested/<candidate>/<inner fold>`."""
    return file.parts[-4:-3] == ("nested",)


def card_results(
    results: Mapping[str, Any] | Iterable[Mapping[str, Any]] = (),
    *,
    settings: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    label_store: Mapping[str, Any] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a card is written from, ready for JSON and for other people's eyes.

    Args:
        results: The content of a fold's `results.json`, of an experiment's, or several of these: a system's runs over
            folds and seeds.
        settings: Of a system that has not been run: the content of its recipe.
        config: The content of the model's `config.json`; classes and modalities where no run tells them.
        label_store: The content of `label_store.json`, see `LabelEmbeddingStore.to_dict`; of the first run.
        names: What a folder of this machine is called, such as `{"/models/minilm": "MINILM"}`. Others are called after
            the setting that holds them.

    Returns:
        `settings` (by name, without the seed), `local` (settings that named a folder), `labels`, `runs`
        (`fold`, `seed`, `rows`, `split_hash`, `data_hash`, `parameters`, `test`, `calibration`, `minutes`,
        `peak_memory_mib`, `layer_weights`, `environment`) and `keywords` (words with TF-IDF scores by class). Where
        the runs' files are not at hand, a file of `model_cards/` has a row of a table as `summary` instead: `scores`
        (by name `mean`, `std` and `n`, as `aggregate` gives them), `over` (`folds` or `seeds`), `seeds`, `utterances`,
        `minutes` (a run), `memory`, `hardware` and `source`.

    Raises:
        ValueError: If runs differ in more than seed and fold, or one is there twice.
    """
    given = [results] if isinstance(results, Mapping) else list(results)
    runs = [run for number, item in enumerate(given) for run in _folds(item, f"results {number}")]
    paths = dict(names or {})
    content: dict[str, Any] = {"settings": {}, "local": [], "labels": [], "runs": []}
    if settings is not None:
        content["settings"], content["local"] = _clean_settings(settings, paths)
    for number, run in enumerate(runs):
        cleaned, local = _clean_settings(run["settings"], paths)
        seed = cleaned.pop("seed", None)
        if number == 0:
            content.update(settings=cleaned, local=local, labels=run["test"]["confusion"]["labels"])
        _check_same(content, cleaned, run, number)
        content["runs"].append(_clean_run(run, seed, paths))
    _check_unique(content["runs"])
    if config is not None and not runs:
        content["labels"] = [label for _, label in sorted((int(i), name) for i, name in config["id2label"].items())]
        content["settings"] = {"modalities": config.get("modalities"), **content["settings"]}
    if label_store is not None:
        words = {label: items[:KEYWORDS_SHOWN] for label, items in label_store["keywords"].items() if items}
        content["keywords"] = {label: [[word, round(score, 4)] for word, score in words[label]] for label in words}
    return content


def clean_command(command: str, names: Mapping[str, str] | None = None) -> str:
    """A command as anyone can run it: paths of this machine become names, `--data_dir DATA_DIR`.

    Where results files are written and whether figures are drawn is left out. Values in braces and patterns are quoted
    again, as a shell wants them; results files keep commands without their quotes.
    """
    script, _, flags = command.partition(" --")
    script = script[script.index("recipes/") :] if "recipes/" in script else Path(script).name
    words = [script]
    for match in _FLAG.finditer("--" + flags if flags else ""):
        name, value = match["name"], match["value"].strip()
        if name in ("output_dir", "figures"):
            continue
        value = _name_of(name, value, names or {})
        words.append(f"--{name} {_quoted(value)}")
    return " ".join(words)


def _quoted(value: str) -> str:
    if value.startswith(("{", "[")):
        return f"'{value}'"
    return " ".join(f"'{word}'" if {"*", "?"} & set(word) else word for word in value.split(" "))


def recipe_of(command: str) -> str | None:
    """Name of the package's settings that a command of `clean_command` starts from."""
    found = _RECIPE.search(command)
    return found["name"] if found else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error


def _folds(content: Mapping[str, Any], source: str) -> list[dict[str, Any]]:
    """The folds of a results file."""
    folds = [dict(content)] if "fold" in content else [dict(fold) for fold in content.get("folds") or []]
    needed = {"fold", "rows", "settings", "test"}
    for fold in folds:
        if missing := needed - set(fold):
            raise ValueError(f"{source}: the results of fold {fold.get('fold')!r} lack {', '.join(sorted(missing))}")
    if not folds:
        raise ValueError(f"{source}: neither results of a fold nor of an experiment (keys: {', '.join(content)})")
    return folds


def _clean_settings(settings: Mapping[str, Any], names: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Settings by name, of a run's groups or of a recipe, and the names of those that were folders."""
    plain: dict[str, Any] = {}
    for key in settings:
        if key in ("model", "data", "label_store", "training"):
            plain.update(settings[key])
        elif key not in ("split_hash", "data_hash", "recordings_hash", "processes", "output_dir"):
            plain[key] = settings[key]
    modalities = plain.get("modalities") or []
    for modality in ("text", "speech", "video"):
        if modalities and modality not in modalities:
            plain.pop(f"{modality}_encoder", None)  # a default that nothing was built from
            plain.pop(f"{modality}_overrides", None)
    local = []
    for key, value in plain.items():
        is_folder = key in FOLDERS or (key in ENCODERS and isinstance(value, str) and not _ON_THE_HUB.fullmatch(value))
        if isinstance(value, str) and (is_folder or value in names):
            plain[key] = names.get(value, key.upper())
            local.append(key)
        elif isinstance(value, str) and machine_paths(value):
            plain[key] = key.upper()
    return {key: value for key, value in plain.items() if value is not None}, local


def _name_of(flag: str, value: str, names: Mapping[str, str]) -> str:
    if value in names:
        return names[value]
    if flag == "config" and (found := _RECIPE.search(value)):
        return f"recipes/configs/{found['name']}.yaml"
    if flag in ("data_dir", *FOLDERS) or machine_paths(value + "/"):
        return flag.upper()
    return value


def _clean_run(run: Mapping[str, Any], seed: int | None, names: Mapping[str, str]) -> dict[str, Any]:
    environment = run.get("environment") or {}
    cleaned = {key: run[key] for key in KEPT if key in run}
    cleaned["seed"] = seed
    cleaned.update({key: run["settings"][key] for key in ("split_hash", "data_hash") if key in run["settings"]})
    cleaned["test"] = {key: run["test"][key] for key in KEPT_OF_TEST if key in run["test"]}
    if groups := run["test"].get("by_group"):
        nameless = {"speaker": list(groups["speaker"].values())} if "speaker" in groups else {}
        cleaned["test"]["by_group"] = {**groups, **nameless}  # a card names no person
    if calibration := run.get("calibration"):
        tested = {key: value for key, value in calibration["test"].items() if key != "reliability"}
        cleaned["calibration"] = {**calibration, "test": tested}
    cleaned["environment"] = {key: environment[key] for key in KEPT_OF_ENVIRONMENT if key in environment}
    if "command" in environment:
        cleaned["environment"]["command"] = clean_command(environment["command"], names)
    return cleaned


def _check_same(content: Mapping[str, Any], settings: Mapping[str, Any], run: Mapping[str, Any], number: int) -> None:
    first = content["settings"]
    differing = sorted(key for key in {*first, *settings} if first.get(key) != settings.get(key))
    if run["test"]["confusion"]["labels"] != content["labels"]:
        differing.append("labels")
    if differing:
        raise ValueError(
            f"run {number} (fold {run['fold']}) has other settings than the first: {', '.join(differing)} differ; "
            "a card is about one system"
        )


def _check_unique(runs: Sequence[Mapping[str, Any]]) -> None:
    seen = set()
    for run in runs:
        key = (run["seed"], run["fold"])
        if key in seen:
            raise ValueError(f"seed {key[0]}, fold {key[1]} is there twice; give each run once")
        seen.add(key)
