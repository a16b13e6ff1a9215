"""Reading the files of MELD: annotations, which clip belongs to which utterance, and what a clip's header says.

Nothing here knows of tasks or classes' ids. Files whose names begin with a dot (leftovers of a Mac) are skipped.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av

from hf_mer.data.corpora.meld_counts import SPLITS, TASKS
from hf_mer.data.corpora.text_tables import read_table
from hf_mer.data.schema import CorpusError

RELEASE = "MELD.Raw"
# Folder of the clips; it lies in the root, or in a folder of the split's name.
CLIP_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
COLUMNS = (
    *("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID"),
    *("Season", "Episode", "StartTime", "EndTime"),
)

_CLIP = re.compile(r"(?P<corrected>final_videos_test)?dia(?P<dialogue>\d+)_utt(?P<utterance>\d+)\.mp4")
# Three times of the release have two digits of milliseconds ("00:05:11,82"): zeros that were lost at the front.
_TIME = re.compile(r"(\d{1,2}):(\d{2}):(\d{2}),(\d{1,3})")
_C1 = re.compile(r"[\x80-\x9f]")


@dataclass(frozen=True)
class Utterance:
    """One line of an annotation file.

    Attributes:
        split: `train`, `dev` or `test`.
        dialogue: Number within the split; the splits count separately.
        number: Number within the dialogue, with gaps in some dialogues.
        text: What is said.
        speaker: As named in the corpus.
        emotion: One of `TASKS["emotion"]`.
        sentiment: One of `TASKS["sentiment"]`.
        season: 1 to 10.
        episode: Number within the season.
        start: Seconds from the start of the episode.
        end: Seconds.
    """

    split: str
    dialogue: int
    number: int
    text: str
    speaker: str
    emotion: str
    sentiment: str
    season: int
    episode: int
    start: float
    end: float

    @property
    def id(self) -> str:
        """Unique in the corpus: `train_dia0_utt0`."""
        return f"{self.split}_dia{self.dialogue}_utt{self.number}"


@dataclass(frozen=True)
class ClipHeader:
    """What the header of a clip says.

    Attributes:
        seconds: Length of the sound (of the picture if there is no sound); None if the file cannot be opened.
        has_audio: Whether there is sound.
        has_video: Whether there is a picture.
        problem: Why it cannot be opened.
    """

    seconds: float | None
    has_audio: bool = False
    has_video: bool = False
    problem: str | None = None


def find_release(data_dir: str | os.PathLike) -> Path:
    """The folder with the annotation files: `data_dir`, or `MELD.Raw` in it.

    Raises:
        CorpusError: If there is none; the message says what was looked for.
    """
    folder = Path(os.path.abspath(Path(data_dir).expanduser()))
    for candidate in (folder, folder / RELEASE):
        if annotation_files(candidate):
            return candidate
    found = "there is no such folder"
    if folder.is_dir():
        found = f"it contains {', '.join(sorted(entry.name for entry in folder.iterdir())[:10]) or 'nothing'}"
    raise CorpusError(
        f"{folder} is not a MELD release: looked for train_sent_emo.csv, dev_sent_emo.csv and test_sent_emo.csv in "
        f"it, in its folders train, dev and test, and in {folder / RELEASE}; {found}. data_dir is the folder "
        f"{RELEASE} or the one that contains it (unpack the archives train, dev and test in it first)"
    )


def annotation_files(root: Path) -> dict[str, Path]:
    """Splits to their annotation files, those that are there: at the root or inside a folder of the split."""
    files = {}
    for split in SPLITS:
        name = f"{split}_sent_emo.csv"
        for folder in (root, root / split, *clip_folder_candidates(root, split)):
            if (folder / name).is_file():
                files[split] = folder / name
                break
    return files


def clip_folder_candidates(root: Path, split: str) -> tuple[Path, Path]:
    """Where the clips of a split may lie."""
    return root / CLIP_FOLDERS[split], root / split / CLIP_FOLDERS[split]


def find_clips(root: Path, split: str) -> dict[tuple[int, int], Path] | None:
    """Dialogue and utterance numbers to clips, with or without annotation; None without a folder of clips.

    Of two clips of one utterance the corrected one, `final_videos_test...`, is taken: the plain one is the wrong cut.
    """
    folder = next((path for path in clip_folder_candidates(root, split) if path.is_dir()), None)
    if folder is None:
        return None
    clips: dict[tuple[int, int], Path] = {}
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        match = _CLIP.fullmatch(entry.name)
        if match is None:
            continue
        key = int(match["dialogue"]), int(match["utterance"])
        if match["corrected"] or key not in clips:
            clips[key] = Path(entry.path)
    return clips


def corpus_files(root: Path) -> Iterator[Path]:
    """Every file that the loader reads or points to, in a fixed order."""
    for split, path in annotation_files(root).items():
        yield path
        yield from (find_clips(root, split) or {}).values()


def read_annotations(path: Path, split: str, problems: list[str]) -> dict[int, list[Utterance]]:
    """The utterances of a split by dialogue, each dialogue ordered by utterance number.

    Args:
        path: From `annotation_files`.
        split: Its split.
        problems: Odd lines are added here, named.
    """
    dialogues: dict[int, dict[int, Utterance]] = {}
    try:
        lines = read_table(path, None, problems)
    except CorpusError as error:
        problems += error.problems or [str(error)]
        return {}
    columns = list(lines[0].values) if lines else []
    missing = [name for name in COLUMNS if name not in columns]
    if missing:
        problems.append(f"{path}: no column {', '.join(missing)}; it has {', '.join(columns) or 'no rows'}")
        return {}
    for line in lines:
        utterance = _utterance(line.values, split, line.where, problems)
        if utterance is None:
            continue
        earlier = dialogues.setdefault(utterance.dialogue, {})
        if utterance.number in earlier:
            problems.append(
                f"{line.where}: Dialogue_ID {utterance.dialogue}, Utterance_ID {utterance.number} occurs twice"
            )
        earlier[utterance.number] = utterance
    return {name: [found[number] for number in sorted(found)] for name, found in dialogues.items()}


def mend_text(text: str) -> str:
    """Text without C1 control characters, which older copies hold where Windows-1252 has punctuation."""

    def mend(match: re.Match[str]) -> str:
        return match[0].encode("latin-1").decode("cp1252", errors="ignore")

    return _C1.sub(mend, text).strip()


def parse_time(text: str) -> float | None:
    """Seconds of a time of the corpus, `"00:16:16,059"` for one; None if it is not one."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds, milliseconds = (int(part) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds + milliseconds / 1000


def probe_clip(path: Path) -> ClipHeader:
    """Reads a clip's header; nothing is decoded."""
    try:
        with av.open(os.fspath(path)) as container:
            sound, picture = container.streams.audio, container.streams.video
            stream = sound[0] if sound else picture[0] if picture else None
            if stream is None:
                return ClipHeader(None, problem="neither sound nor picture")
            seconds = (container.duration or 0) / av.time_base
            if stream.duration is not None and stream.time_base is not None:
                seconds = float(stream.duration * stream.time_base)
            return ClipHeader(seconds, bool(sound), bool(picture))
    except (av.FFmpegError, OSError, ValueError) as error:
        return ClipHeader(None, problem=f"cannot be opened ({getattr(error, 'strerror', None) or error})")


def _utterance(line: dict[str, str], split: str, where: str, problems: list[str]) -> Utterance | None:
    """One line, or None with what is wrong with it added to `problems`."""
    before = len(problems)
    numbers: dict[str, int] = {}
    for name in ("Dialogue_ID", "Utterance_ID", "Season", "Episode"):
        if line[name].strip().isdecimal():
            numbers[name] = int(line[name])
        else:
            problems.append(f"{where}: {name} {line[name]!r} is not a number of 0 or more")
    times: dict[str, float] = {}
    for name in ("StartTime", "EndTime"):
        seconds = parse_time(line[name])
        if seconds is None:
            problems.append(f"{where}: {name} {line[name]!r} is not hours:minutes:seconds,milliseconds")
        else:
            times[name] = seconds
    if len(times) == 2 and times["EndTime"] < times["StartTime"]:
        problems.append(f"{where}: EndTime {line['EndTime']!r} is before StartTime {line['StartTime']!r}")
    classes = {}
    for name, task in (("Emotion", "emotion"), ("Sentiment", "sentiment")):
        classes[task] = line[name].strip().lower()
        if classes[task] not in TASKS[task]:
            problems.append(f"{where}: {name} {line[name]!r} is not one of {', '.join(TASKS[task])}")
    if len(problems) > before:
        return None
    return Utterance(
        split=split,
        dialogue=numbers["Dialogue_ID"],
        number=numbers["Utterance_ID"],
        text=mend_text(line["Utterance"]),
        speaker=mend_text(line["Speaker"]),
        season=numbers["Season"],
        episode=numbers["Episode"],
        start=times["StartTime"],
        end=times["EndTime"],
        **classes,
    )
