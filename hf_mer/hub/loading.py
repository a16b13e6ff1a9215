"""Checkpoints out of folders of this machine, or out of repositories of the Hub, which is asked for them first."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import RemoteEntryNotFoundError

from hf_mer.hub.errors import hub_errors

_WHAT_LACKS = {
    "config.json": "it is not a checkpoint",
    "label_store.json": "it is not a checkpoint with label embeddings, which only LE-MER has",
}


def model_folder(path: str | Path) -> Path:
    """The folder of a checkpoint's model: the given one, or `model` in it.

    Raises:
        ValueError: If there is no model, or the folder holds several folds; the message names them.
    """
    given = Path(path)
    if given.is_file():
        raise ValueError(f"{path} is a file; a checkpoint is a folder")
    model = next((folder for folder in (given, given / "model") if (folder / "config.json").is_file()), None)
    if model is None:
        folds = sorted(str(found.parent.parent) for found in given.glob("*/model/config.json"))
        there = f"it contains several folds; choose one of {', '.join(folds)}" if folds else "there is no config.json"
        raise ValueError(f"{path} is not a checkpoint: {there}")
    try:
        content = json.loads((model / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{model / 'config.json'} is damaged: {error}") from error
    if not isinstance(content, dict) or content.get("model_type") is None:
        raise ValueError(f"{model / 'config.json'} names no model_type: it is not a model of this package")
    return model


def locate_checkpoint(checkpoint: str | os.PathLike, revision: str | None = None, needed: str = "config.json") -> str:
    """What `from_pretrained` is to be given, once it is known that there is something to load.

    Args:
        checkpoint: A fold's folder (`runs/le_mer/Ses05`), that of its model, or a repository on the Hub.
        revision: Branch, tag or commit of the repository.
        needed: File that must be there.

    Returns:
        The model's folder, or the repository's name.

    Raises:
        ValueError: If the folder is not a checkpoint, or a revision is asked of a folder.
        HubError: If the Hub cannot be reached, has no such repository or revision, or does not let us in.
    """
    if Path(checkpoint).exists():
        if revision is not None:
            raise ValueError(f"{checkpoint} is a local folder and has no revision '{revision}'")
        folder = model_folder(Path(checkpoint))
        if not (folder / needed).is_file():
            raise ValueError(f"{folder} has no {needed}: {_WHAT_LACKS.get(needed, 'it cannot be used')}")
        return str(folder)
    name = os.fspath(checkpoint)
    with hub_errors(name, revision, writing=False):
        try:
            # one question, where a download would ask again and again when there is no network
            if not isinstance(try_to_load_from_cache(name, needed, revision=revision), str):
                get_hf_file_metadata(hf_hub_url(name, needed, revision=revision))
        except RemoteEntryNotFoundError as error:
            lacks = _WHAT_LACKS.get(needed, "it cannot be used")
            raise ValueError(f"{name} on the Hub has no {needed}: {lacks}") from error
    return name


def load_checkpoint(checkpoint: str | os.PathLike, revision: str | None = None, dtype: Any = None) -> tuple[Any, Any]:
    """Model and processor of a checkpoint; all of the weights, and none that have no place.

    Args:
        checkpoint: A fold's folder, that of its model, or a repository on the Hub.
        revision: Branch, tag or commit of the repository.
        dtype: Of the weights; as saved if not given.

    Raises:
        ValueError: If the folder is not a checkpoint, a file is damaged, files do not belong together, or it is no
            model of this package.
        HubError: If the Hub cannot be reached, or has no such repository or revision.
    """
    source = locate_checkpoint(checkpoint, revision)
    from transformers import AutoConfig, AutoModelForAudioClassification

    from hf_mer.models import MerProcessor
    from hf_mer.models.configuration_mer import MerConfig

    given = {"revision": revision} if revision else {}
    with reading(f"{source}/config.json"), hub_errors(source, revision, writing=False):
        config = AutoConfig.from_pretrained(source, **given)
    if not isinstance(config, MerConfig):
        raise ValueError(f"{source}: '{config.model_type}' is not one of le_mer, mgcma, wavfusion")
    settings = {"config": config, "dtype": dtype or "auto", "output_loading_info": True, **given}
    with reading(f"the model of {source}"), hub_errors(source, revision, writing=False):
        model, info = AutoModelForAudioClassification.from_pretrained(source, **settings)
    for kind, told in (("missing_keys", "lack {} that config.json asks for"),
                       ("unexpected_keys", "contain {} that config.json does not ask for")):  # fmt: skip
        if names := sorted(info[kind]):
            count = f"'{names[0]}'" + (f" and {len(names) - 1} others" if names[1:] else "")
            raise ValueError(f"the weights of {source} {told.format(count)}: they do not belong together")
    with reading(f"the processor of {source}"), hub_errors(source, revision, writing=False):
        return model, MerProcessor.from_pretrained(source, **given)


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever a library makes of a damaged file becomes one line that names it.

    Args:
        what: The file, or what is read of it.
    """
    from hf_mer.models.fields_mer import first_line

    try:
        yield
    except (OSError, ImportError):
        raise
    except ValueError as error:
        if "\n" not in str(error).strip():
            raise
        raise ValueError(f"{what}: {first_line(error)}") from error
    except Exception as error:
        raise ValueError(f"{what} cannot be read: {type(error).__name__}: {first_line(error)}") from error
