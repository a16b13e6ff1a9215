"""Reading the files of an IEMOCAP release: which dialogues there are, who says what, when, and how it was rated.

Nothing here knows of tasks or classes. Files whose names begin with a dot (leftovers of a Mac) are skipped everywhere.
"""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hf_mer.data.corpora.iemocap_votes import count_vote
from hf_mer.data.schema import CorpusError

logger = logging.getLogger(__name__)

RELEASE = "IEMOCAP_full_release"
RAW_LABELS = ("neu", "fru", "ang", "sad", "exc", "hap", "sur", "fea", "oth", "dis", "xxx")

_UTTERANCE_ID = re.compile(r"(Ses0[1-5][FM]_(?:impro\d\d[ab]?|script\d\d_\d[ab]?))_([FM])(\d{3}|XX\d+)")
_RATING = re.compile(
    r"\[(?P<start>[\d.]+)\s*-\s*(?P<end>[\d.]+)\]\s+(?P<id>\S+)\s+(?P<label>\S+)"
    r"(?:\s+\[(?P<vad>[^\]]*)\])?\s*"
)
_TIMED = re.compile(r"(?P<id>\S+)?\s*\[(?P<start>[\d.]+)\s*-\s*(?P<end>[\d.]+)\s*\]\s*:(?P<text>.*)")
_UNTIMED = re.compile(r"(?P<id>[FM]|Ses\w+)\s*:(?P<text>.*)")


@dataclass
class Utterance:
    """One line of a transcript, with its rating if it has one.

    Attributes:
        id: The corpus's own; None for a line without one.
        text: As transcribed, tags included.
        time: Seconds from the start of the dialogue by which utterances are ordered.
        rating: None for utterances that nobody rated.
    """

    id: str | None
    text: str
    time: float
    rating: "Rating | None" = None


@dataclass(frozen=True)
class Rating:
    """One block of an EmoEvaluation file.

    Attributes:
        label: One of `RAW_LABELS`.
        start: Seconds from the start of the dialogue.
        end: Seconds.
        valence: 1 to 5, as dominance and arousal; None where it is not a number.
        arousal: Activation.
        dominance: Dominance.
        votes: Raters by what they chose, see `count_vote`.
    """

    label: str
    start: float
    end: float
    valence: float | None
    arousal: float | None
    dominance: float | None
    votes: dict[str, float] = field(default_factory=dict)


@dataclass
class Dialogue:
    """A dialogue with all its utterances in order of time.

    Attributes:
        name: `Ses01F_impro01` for one.
        session: `Ses01` to `Ses05`.
        utterances: The rated ones and all others.
        audio: Utterance ids to their recordings.
        video: The video of the whole dialogue, both actors side by side; None where it is not there.
    """

    name: str
    session: str
    utterances: list[Utterance] = field(repr=False)
    audio: dict[str, Path] = field(repr=False)
    video: Path | None = field(default=None, repr=False)


def find_release(data_dir: str | os.PathLike) -> Path:
    """The folder that holds `Session1` to `Session5`: `data_dir`, or `IEMOCAP_full_release` in it.

    Raises:
        CorpusError: If there is none; the message says what was looked for.
    """
    folder = Path(data_dir).expanduser().absolute()
    candidates = [folder, folder / RELEASE]
    for candidate in candidates:
        if session_folders(candidate):
            return candidate
    looked = " and ".join(str(candidate / "Session1" / "dialog" / "EmoEvaluation") for candidate in candidates)
    found = "there is no such folder"
    if folder.is_dir():
        found = f"it contains {', '.join(sorted(entry.name for entry in folder.iterdir())[:10]) or 'nothing'}"
    raise CorpusError(
        f"{folder} is not an IEMOCAP release: looked for {looked} (sessions 1 to 5); {found}. "
        f"data_dir is the folder {RELEASE} or the one that contains it"
    )


def session_folders(root: Path) -> list[tuple[str, Path]]:
    """The sessions that are there, `("Ses01", .../Session1)`, in order."""
    numbered = [(f"Ses0{number}", root / f"Session{number}") for number in range(1, 6)]
    return [(name, path) for name, path in numbered if (path / "dialog").is_dir() or (path / "sentences").is_dir()]


def corpus_files(root: Path) -> Iterator[Path]:
    """Every file that the loader reads or points to, in a fixed order."""
    for _, session in session_folders(root):
        yield from _visible(session / "dialog" / "EmoEvaluation", ".txt")
        yield from _visible(session / "dialog" / "transcriptions", ".txt")
        for folder in _wav_folders(session).values():
            yield from _visible(folder, ".wav")
        yield from _visible(_video_folder(session), ".avi")


def speaker_of(utterance_id: str) -> str:
    """The speaker: session and the letter of the **last** token (the fifth letter only says who wore the markers)."""
    return f"{utterance_id[:5]}_{utterance_id.rsplit('_', 1)[1][0]}"


def side_of(utterance_id: str, dialogue: str, named: str) -> str:
    """The half of the screen that shows the speaker of an utterance.

    Args:
        utterance_id: Of the utterance; F or M in its last token is the speaker.
        dialogue: `Ses01F_impro01` for one; its fifth letter names one of the two actors.
        named: The half, `left` or `right`, that shows the named one.
    """
    other = {"left": "right", "right": "left"}[named]
    return named if utterance_id.rsplit("_", 1)[1][0] == dialogue[5] else other


def read_release(root: Path, problems: list[str]) -> list[Dialogue]:
    """Reads all dialogues.

    Args:
        root: From `find_release`.
        problems: Missing and odd files and lines are added here, named.

    Returns:
        Dialogues by session and name.
    """
    dialogues = []
    for session, folder in session_folders(root):
        evaluations = {path.stem: path for path in _visible(folder / "dialog" / "EmoEvaluation", ".txt")}
        transcripts = {path.stem: path for path in _visible(folder / "dialog" / "transcriptions", ".txt")}
        wav_folders = _wav_folders(folder)
        videos = {path.stem: path for path in _visible(_video_folder(folder), ".avi")}
        if not evaluations and not transcripts:
            problems.append(f"{folder / 'dialog'}: no EmoEvaluation/*.txt and no transcriptions/*.txt")
        for name in sorted(evaluations.keys() | transcripts.keys()):
            for there, missing in (
                (evaluations, folder / "dialog" / "EmoEvaluation" / f"{name}.txt"),
                (transcripts, folder / "dialog" / "transcriptions" / f"{name}.txt"),
                (wav_folders, folder / "sentences" / "wav" / name),
            ):
                if name not in there:
                    problems.append(f"{missing}: missing")
            ratings = read_ratings(evaluations[name], problems) if name in evaluations else {}
            utterances = read_transcript(transcripts[name], ratings, problems) if name in transcripts else []
            audio = {path.stem: path for path in _visible(wav_folders[name], ".wav")} if name in wav_folders else {}
            dialogues.append(Dialogue(name, session, utterances, audio, videos.get(name)))
        for name in sorted(wav_folders.keys() - evaluations.keys() - transcripts.keys()):
            logger.warning("%s: recordings without transcript and ratings; not used", wav_folders[name])
    return dialogues


def read_ratings(path: Path, problems: list[str]) -> dict[str, Rating]:
    """The ratings of a dialogue by utterance id, with the votes of single raters in the lines below each.

    Args:
        path: A file of `EmoEvaluation`.
        problems: Odd lines are added here.
    """
    ratings: dict[str, Rating] = {}
    rating: Rating | None = None
    for number, line in _lines(path):
        if not line.startswith("["):
            if rating is not None:
                count_vote(rating.votes, line)
            continue
        rating = None
        match = _RATING.fullmatch(line)
        where = f"{path}, line {number}"
        if match is None:
            problems.append(f"{where}: not `[start - end] id label [V, A, D]`: {line[:80]!r}")
            continue
        utterance_id = match["id"]
        known = _UTTERANCE_ID.fullmatch(utterance_id)
        if known is None or known[1] != path.stem:
            problems.append(f"{where}: {utterance_id!r} is not an utterance of {path.stem}")
        elif match["label"] not in RAW_LABELS:
            problems.append(f"{where}: label {match['label']!r} is not one of {', '.join(RAW_LABELS)}")
        elif utterance_id in ratings:
            problems.append(f"{where}: {utterance_id} is rated twice")
        elif known[3].isdigit():
            vad = _three_numbers(match["vad"])
            rating = Rating(match["label"], float(match["start"]), float(match["end"]), *vad)
            ratings[utterance_id] = rating
    return ratings


def read_transcript(path: Path, ratings: dict[str, Rating], problems: list[str]) -> list[Utterance]:
    """All utterances of a dialogue in order of time, each joined to its rating by id.

    Lines without a time take the time of their rating, or else of the line before. Lines without an id, and those with
    an id such as `..._FXX0`, are nobody's row but part of what was said.

    Args:
        path: A file of `transcriptions`.
        ratings: From `read_ratings`.
        problems: Rated utterances without a transcript are added here.
    """
    utterances: list[Utterance] = []
    seen: set[str] = set()
    time = 0.0
    for number, line in _lines(path):
        match = _TIMED.fullmatch(line) or _UNTIMED.fullmatch(line)
        if match is None:
            if line:
                logger.info("%s, line %d: neither id nor time, skipped: %r", path, number, line[:80])
            continue
        found = _UTTERANCE_ID.fullmatch(match["id"] or "")
        utterance_id = found[0] if found and found[3].isdigit() else None
        if utterance_id is not None and utterance_id in seen:
            logger.warning("%s, line %d: %s occurs twice; the first line counts", path, number, utterance_id)
            continue
        rating = ratings.get(utterance_id) if utterance_id else None
        if match.re is _TIMED:
            time = float(match["start"])
        elif rating is not None:
            time = rating.start
        if utterance_id is not None:
            seen.add(utterance_id)
        utterances.append(Utterance(utterance_id, match["text"].strip(), time, rating))
    for utterance_id in sorted(ratings.keys() - seen):
        problems.append(f"{path}: {utterance_id} is rated, but has no transcript")
    return sorted(utterances, key=lambda utterance: utterance.time)


def _three_numbers(text: str | None) -> tuple[float | None, float | None, float | None]:
    try:
        valence, arousal, dominance = (float(value) for value in (text or "").split(","))
    except ValueError:
        return None, None, None
    return valence, arousal, dominance


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, start=1):
            yield number, line.strip()


def _visible(folder: Path, suffix: str) -> list[Path]:
    """Files of a folder by name, without hidden ones."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix == suffix and not path.name.startswith("."))


def _wav_folders(session: Path) -> dict[str, Path]:
    folder = session / "sentences" / "wav"
    if not folder.is_dir():
        return {}
    return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")}


def _video_folder(session: Path) -> Path:
    return session / "dialog" / "avi" / "DivX"
