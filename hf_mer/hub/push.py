"""To the Hub, in one commit: checkpoints with card, results and figures; prepared corpora with theirs."""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from hf_mer.hub.checkpoints import Checkpoint, find_checkpoint

logger = logging.getLogger(__name__)

_TransportError: type[Exception] = HfHubHTTPError.__bases__[
    0
]  # of httpx or httpx2, whichever huggingface_hub is built on
_OURS = ("figures/", "README.md", "results.json")


class HubError(OSError):
    """The Hub cannot or will not do it; the message says why, and what helps."""


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
        ValueError: If the folder is no checkpoint.
        HubError: If the Hub cannot be reached or refuses.
    """
    made = checkpoint if isinstance(checkpoint, Checkpoint) else find_checkpoint(checkpoint)
    files: dict[str, Path | bytes] = dict(made.files())
    files["README.md"] = (card or made.card(repo_id)).encode()
    if made.results:
        files["results.json"] = (json.dumps(made.content(), indent=1, ensure_ascii=False) + "\n").encode()
    kinds = {Path(name).suffix for name in made.files()}

    def is_stale(name: str) -> bool:
        return name not in files and (name.startswith(_OURS) or ("/" not in name and Path(name).suffix in kinds))

    return _push(files, repo_id, "model", is_stale, private, revision, token, message or f"{Path(made.model).name}")


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
    is_stale: Any,
    private: bool,
    revision: str | None,
    token: str | None,
    message: str,
) -> str:
    api = HfApi(token=token)
    with hub_errors(repo_id, revision):
        if (token or get_token()) is None:
            raise LocalTokenNotFoundError
        repository = api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        if revision:
            api.create_branch(repo_id, branch=revision, repo_type=kind, exist_ok=True)
        there = api.list_repo_files(repo_id, repo_type=kind, revision=revision)
        operations: list[Any] = [CommitOperationDelete(name) for name in there if is_stale(name)]
        for name, source in files.items():
            operations.append(CommitOperationAdd(name, source if isinstance(source, bytes) else str(source)))
        commit = api.create_commit(
            repo_id, operations, commit_message=message, repo_type=kind, revision=revision, num_threads=2
        )
    return commit.commit_url or str(repository)


@contextmanager
def hub_errors(repo_id: str, revision: str | None = None) -> Iterator[None]:
    """Turns what may go wrong between here and the Hub into one clear message, a `HubError`."""
    try:
        yield
    except LocalTokenNotFoundError as error:
        raise HubError(
            f"{repo_id}: no token of the Hub is known here; `hf auth login`, or set HF_TOKEN to one that may write"
        ) from error
    except HFValidationError as error:
        raise HubError(f"'{repo_id}' is no name of a repository; it must be like owner/name") from error
    except RevisionNotFoundError as error:
        raise HubError(f"{repo_id} has no revision '{revision}'") from error
    except OfflineModeIsEnabled as error:
        raise HubError(f"{repo_id}: HF_HUB_OFFLINE is set; without it the Hub can be reached") from error
    except HfHubHTTPError as error:
        raise HubError(_refusal(repo_id, error)) from error
    except (_TransportError, ConnectionError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not isinstance(error.__cause__, (_TransportError, ConnectionError)):
            raise  # an upload that breaks off comes as this
        told = f"cannot be reached or broke off ({type(error).__name__}: {error})"
        raise HubError(
            f"{repo_id}: the Hub at {constants.ENDPOINT} {told}; the same again goes on with what is missing"
        ) from error


def _refusal(repo_id: str, error: HfHubHTTPError) -> str:
    status = error.response.status_code if error.response is not None else None
    if status == 403:
        return f"{repo_id}: the token may not write there; it needs the role write, and you the right to that name"
    if status == 401 and not isinstance(error, RepositoryNotFoundError):
        return f"{repo_id}: the Hub does not know this token; `hf auth login`, or set HF_TOKEN anew"
    if isinstance(error, RepositoryNotFoundError):
        return f"{repo_id} is not on the Hub, or private and your token does not open it"
    return f"{repo_id}: the Hub refused ({str(error).splitlines()[0]})"
