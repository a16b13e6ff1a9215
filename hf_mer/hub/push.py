"""To the Hub, in one commit: checkpoints with card, results and figures; prepared corpora with theirs."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import LocalTokenNotFoundError
from huggingface_hub.utils import validate_repo_id

from hf_mer.files import json_text
from hf_mer.hub.cards.dataset_card import dataset_card
from hf_mer.hub.checkpoints import Checkpoint, find_checkpoint
from hf_mer.hub.errors import hub_errors
from hf_mer.hub.prepared import PreparedCorpus, find_prepared, without_columns
from hf_mer.hub.sharing import check_sharing

_OURS = ("figures/", "README.md", "results.json")


def push_checkpoint(
    checkpoint: Checkpoint | str | Path,
    repo_id: str,
    *,
    card: str | None = None,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    message: str | None = None,
) -> str:
    """Sends a checkpoint in one commit: model, processor, label store, code, card, results, figures.

    The same again updates the repository: what has not changed is not sent, and code, weights and figures that the
    checkpoint no longer has are removed. An upload that broke off is repeated by the same call; files that had
    arrived are not sent again.

    Args:
        checkpoint: A checkpoint or its folder, see `find_checkpoint`.
        repo_id: `owner/name`; made if it is not there.
        card: The model card; written from the results if not given.
        private: Whether a new repository is private.
        revision: Branch, made if it is not there; `main` if not given.
        token: Of the Hub; that of `hf auth login` or `HF_TOKEN` if not given.
        message: Of the commit.

    Returns:
        Address of the commit; of the repository where there was nothing to change.

    Raises:
        ValueError: If the folder is not a checkpoint.
        HubError: If the Hub cannot be reached or refuses.
    """
    made = checkpoint if isinstance(checkpoint, Checkpoint) else find_checkpoint(checkpoint)
    files = checkpoint_files(made, card or made.card(repo_id))
    kinds = {Path(name).suffix for name in made.files()}

    def is_stale(name: str) -> bool:
        return name.startswith(_OURS) or ("/" not in name and Path(name).suffix in kinds)

    return _push(files, repo_id, "model", is_stale, message or made.model.name, private, revision, token)


def checkpoint_files(checkpoint: Checkpoint, card: str) -> dict[str, Path | bytes]:
    """What of a checkpoint is sent, by its path in the repository: a file of this machine, or the content itself."""
    files: dict[str, Path | bytes] = {"README.md": card.encode(), **checkpoint.files()}
    if checkpoint.results:
        files["results.json"] = f"{json_text(checkpoint.content(), indent=1)}\n".encode()
    return files


def push_corpus(
    corpus: PreparedCorpus | str | Path,
    repo_id: str,
    *,
    without_audio: bool = False,
    without_video: bool = False,
    title: str | None = None,
    notes: str = "",
    **settings: Any,
) -> str:
    """Sends a prepared corpus to a repository for datasets in one commit: Parquet files and card.

    The same again updates the repository, as for checkpoints; files of rows that are no longer there are removed.

    Args:
        corpus: The corpus or its folder, see `find_prepared`.
        repo_id: `owner/name`; made if it is not there.
        without_audio: Leave the recordings out.
        without_video: Leave the videos out, which are only referenced by their paths.
        title: Of the card.
        notes: What a reader should know. Markdown.
        **settings: `private`, `revision`, `token` and `message`, as `push_checkpoint` takes them.

    Returns:
        Address of the commit; of the repository where there was nothing to change.

    Raises:
        ValueError: If the folder is not a prepared corpus.
        SharingError: If it must not be handed on; the message says why.
        HubError: If the Hub cannot be reached or refuses.
    """
    found = corpus if isinstance(corpus, PreparedCorpus) else find_prepared(corpus)
    if found is None:
        raise ValueError(
            f"{corpus} is not a prepared corpus: it has no README.md and data/*.parquet by `hf-mer prepare`"
        )
    check_sharing(found, without_audio, without_video)
    files = corpus_files(found, repo_id, without_audio, without_video, title=title, notes=notes)
    message = settings.pop("message", None) or "Prepared corpus"
    return _push(files, repo_id, "dataset", lambda name: name.startswith("data/"), message, **settings)


def corpus_files(
    corpus: PreparedCorpus, name: str, without_audio: bool = False, without_video: bool = False, **texts: Any
) -> dict[str, Path | bytes]:
    """What of a prepared corpus is sent, by its path in the repository: a file of this machine, or the content itself.

    Args:
        corpus: The corpus.
        name: Of the repository.
        without_audio: Leave the recordings out.
        without_video: Leave the videos out.
        **texts: `title` and `notes` of the card.
    """
    columns = [name for name, out in (("audio", without_audio), ("video", without_video)) if out]
    files: dict[str, Path | bytes] = {}
    by_split = {}
    for split, path in corpus.files.items():
        content = without_columns(path, columns)
        digest = content and hashlib.sha256(content).hexdigest()[:16]
        by_split[split] = f"{split}-{digest}.parquet" if digest else path.name
        files[f"data/{by_split[split]}"] = content or path
    card = dataset_card(corpus, name, by_split, without_audio=without_audio, without_video=without_video, **texts)
    return {"README.md": card.encode(), **files}


def check_access(repo_id: str, token: str | None = None) -> None:
    """Asks the Hub who we are, so that a name or token that cannot do is known before hours of training.

    Raises:
        HubError: If the name is none, or the Hub cannot be reached or does not know the token.
    """
    with hub_errors(repo_id):
        if (token or get_token()) is None:
            raise LocalTokenNotFoundError
        validate_repo_id(repo_id)
        HfApi(token=token).whoami()


def _push(
    files: Mapping[str, Path | bytes],
    repo_id: str,
    kind: str,
    is_stale: Callable[[str], bool],
    message: str,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
) -> str:
    """One commit that adds files and removes those of earlier pushes, of which `is_stale` tells the name."""
    api = HfApi(token=token)
    with hub_errors(repo_id, revision):
        if (token or get_token()) is None:
            raise LocalTokenNotFoundError
        repository = api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        if revision:
            api.create_branch(repo_id, branch=revision, repo_type=kind, exist_ok=True)
        there = api.list_repo_files(repo_id, repo_type=kind, revision=revision)
        operations: list[Any] = [CommitOperationDelete(name) for name in set(there) - set(files) if is_stale(name)]
        for name, source in files.items():
            operations.append(CommitOperationAdd(name, source if isinstance(source, bytes) else str(source)))
        commit = api.create_commit(
            repo_id, operations, commit_message=message, repo_type=kind, revision=revision, num_threads=2
        )
    return commit.commit_url or str(repository)
