"""What of a prepared corpus may go to the Hub: what its licence allows, and no paths of this machine."""

from hf_mer.hub.cards.card_results import machine_paths
from hf_mer.hub.cards.facts import CORPORA
from hf_mer.hub.prepared import PreparedCorpus

_STRINGS = ("id", "corpus", "dialogue", "speaker", "gender", "session", "part", "split", "group")


class SharingError(ValueError):
    """A corpus that must not be redistributed as it is; the message says why, and what may be done instead."""


def check_sharing(corpus: PreparedCorpus, without_audio: bool = False, without_video: bool = False) -> None:
    """Refuses what a licence forbids, and what is of no use on another machine.

    Args:
        corpus: The prepared corpus.
        without_audio: Whether recordings are left out.
        without_video: Whether videos are left out.

    Raises:
        SharingError: For IEMOCAP; for a public corpus whose licence does not say that copies may be handed on; for
            recordings of MELD; for recordings or videos that are only referenced by their
            paths on this machine; for other columns with such paths.
    """
    if corpus.corpus == "iemocap":
        raise SharingError(_iemocap(corpus))
    public = CORPORA[corpus.corpus]
    if corpus.about.get("redistributable", public.get("redistributable")) is False:
        raise SharingError(_no_licence(corpus, corpus.about.get("title") or public["title"], public["sharing"]))
    media = corpus.media
    if corpus.corpus == "meld" and media["embedded"] and not without_audio:
        raise SharingError(
            f"{corpus.folder} contains {media['embedded']} recordings of MELD, clips from a television series whose "
            "rights belong to others: they must not be redistributed. --without-audio pushes the annotations, which "
            "are under GPL-3.0"
        )
    if media["referenced"] and not without_audio:
        raise SharingError(
            f"{corpus.folder} names {media['referenced']} recordings by paths that exist only on this "
            "machine. `hf-mer prepare ... --embed-audio` embeds them, if their licence allows that; "
            "--without-audio pushes the rows without them"
        )
    if media["video"] and not without_video:
        raise SharingError(
            f"{corpus.folder} names {media['video']} videos by paths that exist only on this machine. "
            "--without-video pushes the rows without them"
        )
    for name in _STRINGS:
        if paths := [path for value in corpus.values(name) for path in machine_paths(f" {value}")]:
            raise SharingError(
                f"{corpus.folder}: column {name} contains paths of this machine, such as {paths[0]}; prepare the "
                f"corpus again with a column {name} without them"
            )


def _no_licence(corpus: PreparedCorpus, title: str, sharing: str) -> str:
    said = f" {sharing}" if sharing and not sharing.startswith("<!--") else ""
    return (
        f"{corpus.folder} is {title} and is not pushed: its description does not say that it may be redistributed "
        f"(redistributable).{said} What you may do instead: push a model that was trained on it, and tell others the "
        f"command that prepares their own copy ({corpus.about.get('command') or 'hf-mer prepare'})"
    )


def _iemocap(corpus: PreparedCorpus) -> str:
    ids = corpus.ids_of.get("iemocap", [])
    tell = ([f"its rows have IEMOCAP's ids, such as {ids[0]}"] if ids else []) + (
        ["it is marked as generated, but its words are not the generator's"] if corpus.about.get("generated") else []
    )
    task = f" --task {corpus.about['task']}" if corpus.about.get("task") else ""
    known = f" ({'; '.join(tell)})" if tell else ""
    return (
        f"{corpus.folder} is IEMOCAP{known} and is not pushed. {CORPORA['iemocap']['sharing']} What you may do "
        "instead: push a model that was trained on it (hf-mer push runs/le_mer/Ses05 owner/name), and tell others the "
        f"command that prepares their own copy (hf-mer prepare iemocap /path/to/IEMOCAP_full_release prepared{task}). "
        "A corpus made by hf-mer generate is pushed if it was prepared from its own folder"
    )
