"""Where a checkpoint is: a folder of this machine, or a repository of the Hub that is asked for it first."""

import os
from pathlib import Path

from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import RemoteEntryNotFoundError

from hf_mer.hub.checkpoints import model_folder
from hf_mer.hub.errors import hub_errors

_WHAT_LACKS = {
    "config.json": "it is no checkpoint",
    "label_store.json": "it is no checkpoint with label embeddings, which LE-MER alone has",
}


def locate_checkpoint(checkpoint: str | os.PathLike, revision: str | None = None, needed: str = "config.json") -> str:
    """What `from_pretrained` is to be given, once it is known that there is something to load.

    Args:
        checkpoint: A fold's folder (`runs/le_mer/Ses05`), that of its model, or a repository on the Hub.
        revision: Branch, tag or commit of the repository.
        needed: File that must be there.

    Returns:
        The model's folder, or the repository's name.

    Raises:
        ValueError: If the folder is no checkpoint, or a revision is asked of a folder.
        HubError: If the Hub cannot be reached, has no such repository or revision, or does not let us in.
    """
    if Path(checkpoint).exists():
        if revision is not None:
            raise ValueError(f"{checkpoint} is a folder of this machine, which has no revision '{revision}'")
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
