"""Errors of the Hub, each as one clear message."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from huggingface_hub import constants, get_session
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

TransportError: type[Exception] = HfHubHTTPError.__bases__[0]
"""Of httpx or httpx2, whichever huggingface_hub is built on."""

_Told = (LocalTokenNotFoundError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError,
         OfflineModeIsEnabled, HfHubHTTPError, EntryNotFoundError, TransportError, ConnectionError)  # fmt: skip


logger = logging.getLogger(__name__)

_silence: list[Exception] = []  # why the Hub is not asked just now


class HubError(OSError):
    """The Hub cannot be reached or refuses; the message says why, and what to do."""


@contextmanager
def hub_or_cache(wanted: bool = True) -> Iterator[None]:
    """Asks the Hub one question; without an answer all loading within is from the cache, or fails, at once.

    The libraries ask again and again for every file, of which those that a checkpoint lacks are never in the cache.

    Args:
        wanted: Whether there is anything to load from the Hub.
    """
    silence = _no_answer() if wanted and not constants.HF_HUB_OFFLINE else None
    if silence is None:
        yield
        return
    _say_once(f"the Hub at {constants.ENDPOINT} cannot be reached; checkpoints are looked for in the cache alone")
    constants.HF_HUB_OFFLINE = True
    _silence.append(silence)
    try:
        yield
    finally:
        _silence.pop()
        constants.HF_HUB_OFFLINE = False


@cache
def _say_once(text: str) -> None:
    logger.warning("%s", text)


def _no_answer() -> Exception | None:
    try:
        get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except (TransportError, ConnectionError) as error:
        return error
    return None


@contextmanager
def hub_errors(repo_id: str, revision: str | None = None, writing: bool = True) -> Iterator[None]:
    """Turns what may go wrong into one clear message, a `HubError`.

    The libraries wrap what the Hub said into errors of their own with long texts; what counts is the one that began
    it. Loading is from the cache where the Hub cannot be reached, see `hub_or_cache`.

    Args:
        repo_id: `owner/name`, for the message; of a folder, or what cannot be such a name, nobody asks the Hub.
        revision: Branch, tag or commit that was asked for.
        writing: Whether something was to be sent; loading needs other advice.
    """
    with hub_or_cache(not writing and not os.path.exists(repo_id) and _can_be_asked_for(repo_id)):
        try:
            yield
        except HubError:
            raise
        except (OSError, RuntimeError, *_Told) as error:
            cause = _beginning(error)
            if cause is None:
                raise
            if _silence and isinstance(cause, (OfflineModeIsEnabled, LocalEntryNotFoundError)):
                cause = _silence[-1]
            raise HubError(_message(repo_id, revision, cause, writing)) from error


def _can_be_asked_for(repo_id: str) -> bool:
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        return False
    return True


def _beginning(error: BaseException) -> Exception | None:
    """The Hub's own error that another one was made of: the last one known in the chain of causes."""
    found, link = None, error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, _Told):
            specific = not isinstance(link, (TransportError, ConnectionError)) or isinstance(link, HfHubHTTPError)
            if found is None or specific or isinstance(found, LocalEntryNotFoundError):
                found = link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)  # type: ignore[assignment]
    return found


def _message(repo_id: str, revision: str | None, error: Exception, writing: bool) -> str:
    if isinstance(error, LocalTokenNotFoundError):
        advice = "run `hf auth login`, or set HF_TOKEN to one with the write role"
        return f"{repo_id}: there is no Hub token on this machine; {advice}"
    if isinstance(error, HFValidationError):
        where = "" if writing else "no folder here, and "
        return f"'{repo_id}' is {where}not the name of a repository, which must be like owner/name"
    if isinstance(error, RevisionNotFoundError):
        return f"{repo_id} has no revision '{revision}'"
    if isinstance(error, OfflineModeIsEnabled) or (
        isinstance(error, LocalEntryNotFoundError) and constants.HF_HUB_OFFLINE
    ):
        return f"{repo_id}: {_not_here(writing)}HF_HUB_OFFLINE is set; without it the Hub can be reached"
    if isinstance(error, HfHubHTTPError):
        return _refusal(repo_id, error, writing)
    reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    told = f"cannot be reached, or the connection broke off ({reason})"
    further = "push again to resume the upload" if writing else "try again when the network is back"
    return f"{repo_id}: {_not_here(writing)}the Hub at {constants.ENDPOINT} {told}; {further}"


def _not_here(writing: bool) -> str:
    return "" if writing else "it is neither a folder nor in the cache of this machine, and "


def _refusal(repo_id: str, error: HfHubHTTPError, writing: bool) -> str:
    if isinstance(error, GatedRepoError):
        return f"{repo_id}: accept its terms on its page first, with the account of your token"
    if isinstance(error, RepositoryNotFoundError):
        where = "" if writing else "no folder here, and "
        return f"{repo_id} is {where}not on the Hub, or private and not open to your token"
    status = 0 if error.response is None else error.response.status_code
    advice = {
        401: "the Hub does not know this token; run `hf auth login`, or set HF_TOKEN to a valid one",
        403: "the token may not write to it; the token needs the write role, and its account the right to that name"
        if writing
        else "your token may not read it; the token needs the read role, and its account access to the repository",
    }
    first_line = str(error).partition("\n")[0]
    return f"{repo_id}: {advice.get(status, f'the Hub refused ({first_line})')}"
