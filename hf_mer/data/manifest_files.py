"""Reading manifests: tables, and folders of recordings."""

from pathlib import Path

from hf_mer.data.schema import CorpusError
from hf_mer.data.tables import TABLE_SUFFIXES, Line, read_table

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".aiff", ".aif")
FILM_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".wmv")
_SPLITS = {"train", "training", "validation", "valid", "val", "dev", "test"}


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


def _folder_lines(folder: Path) -> list[Line]:
    """`<label>/*.wav`, or `<split>/<label>/*.wav` where every folder at the top is a split."""
    tops = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    by_split = bool(tops) and all(top.name.lower() in _SPLITS for top in tops)
    pattern = "*/*/*" if by_split else "*/*"
    files = sorted(
        file
        for file in folder.glob(pattern)
        if file.suffix.lower() in AUDIO_SUFFIXES + FILM_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )
    if not files:
        raise CorpusError(
            f"{folder}: no metadata.csv (.tsv, .jsonl), and no recordings at <label>/*.wav or <split>/<label>/*.wav"
        )
    lines = []
    for number, file in enumerate(files, start=1):
        values = {"audio": file.relative_to(folder).as_posix(), "label": file.parent.name}
        if by_split:
            values["split"] = file.parent.parent.name
        lines.append(Line(values, str(file), number))
    return lines
