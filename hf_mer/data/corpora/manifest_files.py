"""Reading manifests: tables, and folders of recordings."""

import logging
from collections import Counter
from pathlib import Path

from hf_mer.console import readable
from hf_mer.data.corpora.text_tables import TABLE_SUFFIXES, Line, read_table
from hf_mer.data.errors import CorpusError

logger = logging.getLogger(__name__)

AUDIO_SUFFIXES = (
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".spx", ".mp3", ".mp2", ".mpa", ".m4a", ".m4b", ".aac", ".ac3", ".eac3",
    ".aiff", ".aif", ".aifc", ".caf", ".au", ".snd", ".w64", ".rf64", ".bwf", ".sph", ".nist", ".voc", ".mka", ".weba",
    ".wma", ".amr", ".awb", ".ape", ".wv", ".tta",
)  # fmt: skip
VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".wmv", ".asf", ".3gp", ".3g2", ".flv", ".f4v",
    ".ogv", ".ts", ".mts", ".m2ts", ".vob",
)  # fmt: skip


def read_manifest(path: Path, encoding: str = "utf-8") -> tuple[list[Line], Path]:
    """Reads a table or a folder of recordings.

    Returns:
        The lines, and the folder that relative audio paths are relative to.

    Raises:
        CorpusError: If there is no such file or folder, its kind is unknown, it cannot be decoded, or it has no rows.
    """
    path = path.expanduser()
    if path.is_dir():
        tables = [path / f"metadata{suffix}" for suffix in TABLE_SUFFIXES if (path / f"metadata{suffix}").is_file()]
        if not tables:
            return _folder_lines(path), path
        path = tables[0]
    if not path.is_file():
        raise CorpusError(
            f"{path}: no such manifest; expected a file ({', '.join(TABLE_SUFFIXES)}) or a folder of recordings"
        )
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise CorpusError(f"{path}: manifests end in {', '.join(TABLE_SUFFIXES)}, not {path.suffix or 'nothing'!r}")
    lines = read_table(path, encoding)
    if not lines:
        raise CorpusError(f"{path}: no rows")
    return lines, path.parent


def recordings_in(folder: Path, pattern: str) -> list[Path]:
    """Audio and video files of a folder, by their endings; a warning says which files are none, hidden ones aside.

    Args:
        folder: The folder.
        pattern: Of `Path.glob`.
    """
    files = _visible(folder, pattern)
    endings = Counter(file.suffix.lower() for file in files)
    others = {ending: count for ending, count in endings.items() if ending not in AUDIO_SUFFIXES + VIDEO_SUFFIXES}
    if others:
        told = ", ".join(f"{readable(ending) or 'none'} ({count})" for ending, count in sorted(others.items()))
        logger.warning("%s: files of other formats left out: %s", readable(folder), told)
    return [file for file in files if file.suffix.lower() not in others]


def _visible(folder: Path, pattern: str) -> list[Path]:
    """Files that no part of whose path is hidden, sorted."""
    return [
        file
        for file in sorted(folder.glob(pattern))
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


def _with_plain_names(files: list[Path]) -> list[Path]:
    """Those whose names are UTF-8, as the rows of a corpus must be; a warning says which are left out."""
    odd = [file for file in files if readable(file) != str(file)]
    if odd:
        logger.warning("%d files left out whose names are not UTF-8, such as %s; rename them", len(odd),
                       readable(odd[0]))  # fmt: skip
    return [file for file in files if file not in odd]


def _folder_lines(folder: Path) -> list[Line]:
    """`<label>/*.wav`, or `<split>/<label>/*.wav` where every folder at the top is a split.

    Raises:
        CorpusError: If there are no recordings, or some lie elsewhere in the folder: their label is not known.
    """
    from hf_mer.data.schema import canonical_split  # here, since datasets comes with it

    tops = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    by_split = bool(tops) and all(canonical_split(top.name) for top in tops)
    pattern = "*/*/*" if by_split else "*/*"
    files = _with_plain_names(recordings_in(folder, pattern))
    if not files:
        raise CorpusError(
            f"{folder}: no metadata.csv (.tsv, .jsonl), and no recordings at <label>/*.wav or <split>/<label>/*.wav"
        )
    place, known = ("<split>/<label>" if by_split else "<label>"), AUDIO_SUFFIXES + VIDEO_SUFFIXES
    media = [file for file in _visible(folder, "**/*") if file.suffix.lower() in known]
    if elsewhere := sorted(set(media) - set(_visible(folder, pattern))):
        told = [f"{readable(file.relative_to(folder))}: not at {place}/*, which names the label" for file in elsewhere]
        raise CorpusError.from_problems(readable(folder), told)
    lines = []
    for number, file in enumerate(files, start=1):
        values = {"audio": file.relative_to(folder).as_posix(), "label": file.parent.name}
        if by_split:
            values["split"] = file.parent.parent.name
        lines.append(Line(values, str(file), number))
    return lines
