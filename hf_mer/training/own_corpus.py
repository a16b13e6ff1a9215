"""Which settings a training begins with, told by what it is to be trained on."""

import json
import logging
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_mer.data.corpora.public.description import describe, is_public
from hf_mer.training.settings.public_corpora import check_corpus, corpus_list, flag_value

if TYPE_CHECKING:
    from hf_mer.data.corpora.text_tables import Line

logger = logging.getLogger(__name__)

_SETTINGS_SUFFIXES = (".yaml", ".yml")
_MOST_GROUPS = 5
_BASELINES_BEGIN_WITH = "le_mer"
_FLAGS = {"scratch": "from-scratch", "frozen": "frozen"}  # of the variants
_OTHER_NAMES = {"le_mer_meld": "le_mer_meld_text"}
_GENERATED_LAYOUTS = {"wavfusion": "meld"}  # of the settings `<system>_generated`; else IEMOCAP's


def settings_for(system: str, source: str, flags: Sequence[str] = (), variant: str = "") -> list[str]:
    """Flags of the recipes for a source.

    Args:
        system: `le_mer`, `mgcma`, `wavfusion` or `baseline`.
        source: A settings file, a table or folder of recordings, or the root of a corpus.
        flags: What the user says; it wins, and so it is not guessed.
        variant: Of the settings for people's own recordings and public corpora: `scratch` for a small model without
            pretrained encoders, `frozen` for a classifier on small encoders that stay as they are.

    Raises:
        ValueError: If there is no such source, or no settings for this system on it.
    """
    path = Path(source).expanduser()
    if path.suffix.lower() in _SETTINGS_SUFFIXES:
        _refuse_variant(variant, f"{source} is a settings file")
        return ["--config", str(path)]
    if not path.exists():
        raise ValueError(f"{source}: no such settings file, table or folder{_where_to_get(flags)}")
    for named in corpus_list(flag_value(flags, "corpus")):
        check_corpus(named)
    public = _public_corpus(path, flags)
    name = "corpus" if public else _corpus_of(path)
    first = _BASELINES_BEGIN_WITH if system == "baseline" else system
    if name == "generated" and (layout := _layout(path)) != _GENERATED_LAYOUTS.get(first, "iemocap"):
        raise ValueError(f"{source} is generated in the layout of {layout}, for which {system} has no settings; give "
                         "a settings file")  # fmt: skip
    if name != "corpus":
        _refuse_variant(variant, f"{source} is {name}, as it was published or generated")
    config = configuration(f"{first}_{name}{f'_{variant}' * bool(variant)}")
    # one held-out group, as of people's own recordings
    guessed: list[tuple[str, ...]] = [("corpus", public), ("folds", "0")] if public else []
    if name == "corpus" and not public:
        guessed = _settings_of_table(path, flags)
    given = _names(flags)
    kept = [part for pair in guessed if pair[0] not in given for part in (f"--{pair[0]}", *pair[1:])]
    return ["--config", str(config), "--data_dir", str(path), *kept]


def _refuse_variant(variant: str, what: str) -> None:
    if variant:
        raise ValueError(
            f"--{_FLAGS[variant]} is only for tables and folders of recordings and public corpora, but {what}; "
            f"leave it out, or give the parts of {configuration(f'le_mer_corpus_{variant}')} that you want"
        )


def _public_corpus(path: Path, flags: Sequence[str]) -> str | None:
    """The public corpus that the flags name, or that a folder holds, which the log says; None for others."""
    named = flag_value(flags, "corpus")
    if named is not None:
        return named if is_public(named) else None
    if not path.is_dir() or any(path.glob("metadata.*")):
        return None
    from hf_mer.data.corpora.public.reading import recognise

    found = recognise(path)
    if found is not None:
        logger.info("%s is read as %s (--corpus %s); --corpus manifest reads it as recordings of your own", path,
                    describe(found).title, found)  # fmt: skip
    return found


def _where_to_get(flags: Sequence[str]) -> str:
    """Of the public corpus that flags name."""
    named = flag_value(flags, "corpus")
    return f". {describe(named).where_to_get}" if named is not None and is_public(named) else ""


def configuration(name: str) -> Path:
    """A settings file that the package brings: of the wheel, or of the repository.

    Raises:
        ValueError: With the names that there are.
    """
    package, name = Path(str(resources.files("hf_mer"))), _OTHER_NAMES.get(name, name)
    folders = [package / "configs", package.parent / "recipes" / "configs"]
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    there = sorted({path.stem for folder in folders for path in folder.glob("*.yaml")})
    raise ValueError(
        f"there are no settings {name}; there are {', '.join(there)}. Or give a settings file of your own"
    )


def _corpus_of(path: Path) -> str:
    """`iemocap`, `meld`, `generated`, or `corpus` for people's own."""
    from hf_mer.data.corpora.published import is_generated  # with `datasets`; a settings file need not wait for it

    if not path.is_dir():
        return "corpus"
    if is_generated(path):
        return "generated"
    if any(path.glob("Session[1-5]/dialog")):
        return "iemocap"
    if any(path.rglob("train_sent_emo.csv")):
        return "meld"
    if (path / "data").is_dir() and any(path.glob("data/*.parquet")):
        raise ValueError(
            f"{path} is a prepared corpus, for load_dataset; train on the table or release that it is from"
        )
    return "corpus"


def _layout(path: Path) -> str:
    return "iemocap" if any(path.glob("Session[1-5]/dialog")) else "meld"


def _settings_of_table(path: Path, flags: Sequence[str]) -> list[tuple[str, ...]]:
    """What the columns of a table tell: its modalities, and how it is cut into parts.

    By its own split, else by its groups, else by speakers, else row by row, which a line in the log regrets.
    """
    from hf_mer.data.corpora.manifest import resolve_columns
    from hf_mer.data.corpora.manifest_files import read_manifest

    given = flag_value(flags, "columns")
    columns: dict[str, Any] = json.loads(given) if given else {}
    lines, _ = read_manifest(path, flag_value(flags, "encoding") or "utf-8")
    names = resolve_columns(lines, columns, str(path))
    heard, read = bool({"audio", "video"} & set(names)), "text" in names
    modalities: list[tuple[str, ...]] = [] if heard and read else [("modalities", "speech" if heard else "text")]
    return [*modalities, *_folds(lines, names, path)]


def _folds(lines: "Sequence[Line]", names: Mapping[str, str], path: Path) -> list[tuple[str, ...]]:
    if "split" in names:
        return [("protocol", "official"), ("folds", "0")]
    for name in ("group", "speaker"):
        values = {line.values.get(names[name]) for line in lines} if name in names else set()
        if len(values) > 2:
            return [
                ("protocol", "groups"),
                ("group_column", name),
                ("num_groups", str(min(len(values), _MOST_GROUPS))),
            ]
    logger.warning("%s has no column group or speaker with three values or more: its rows are split one by one, "
                   "so that a speaker may be in several splits and scores will be too high", path)  # fmt: skip
    return [("protocol", "groups"), ("group_column", "id"), ("num_groups", str(min(len(lines), _MOST_GROUPS)))]


def _names(flags: Sequence[str]) -> set[str]:
    """Names of settings among flags, however they are spelled."""
    return {flag[2:].partition("=")[0].replace("-", "_") for flag in flags if flag.startswith("--")}
