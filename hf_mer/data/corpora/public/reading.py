"""Reading the folder of a public corpus as it was unzipped: which files are its recordings, and what they are."""

import logging
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hf_mer.console import readable
from hf_mer.data.corpora.manifest_files import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from hf_mer.data.corpora.public.checking import path_pattern
from hf_mer.data.corpora.public.description import PublicCorpus, describe, public_names
from hf_mer.data.corpora.text_tables import read_table
from hf_mer.data.errors import CorpusError

logger = logging.getLogger(__name__)

_LFS = b"version https://git-lfs.github.com/"
_LOOKED_AT = 200
_ALIKE = 0.9


@dataclass(frozen=True)
class Recording:
    """A recording of a release.

    Attributes:
        id: What the pattern matches, without the ending; once in a corpus.
        path: The file.
        label: Name of the class.
        speaker: Code of the speaker.
        gender: Of the speaker, as it is written; None if nobody says.
        text: What is said; None if nobody says.
    """

    id: str
    path: Path
    label: str
    speaker: str
    gender: str | None
    text: str | None


def find_root(corpus: PublicCorpus, data_dir: str | os.PathLike) -> Path:
    """The folder, which must be there.

    Raises:
        CorpusError: With where to get the corpus.
    """
    root = Path(data_dir).expanduser().absolute()
    if root.is_dir():
        return root
    found = "is a file, not the folder of an unzipped release" if root.is_file() else "no such folder"
    raise CorpusError(f"{readable(data_dir)}: {found}. {corpus.where_to_get}")


def read_recordings(corpus: PublicCorpus, root: Path) -> list[Recording]:
    """Every recording of a release, in the order of its ids; the log says which files are none, or there twice.

    Raises:
        CorpusError: If there are none, or the folder is of another corpus; with every code that is not known, every
            recording that the table lacks, and every file that stands for one.
    """
    matched, others = _matches(corpus, root)
    if not matched:
        raise CorpusError(_nothing(corpus, root, others))
    _log_left_out(corpus, root, others)
    files = _once(root, matched)
    _refuse_pointers(root, [path for path, _ in files.values()])
    rows = _table_rows(corpus, root)
    problems: list[str] = []
    found = [
        recording
        for key, (path, match) in files.items()
        if (recording := _recording(corpus, path, match, rows, problems)) is not None
    ]
    if problems:
        raise CorpusError.from_problems(f"{corpus.title} in {readable(root)}", problems)
    return sorted(found, key=lambda recording: recording.id)


def corpus_files(corpus: PublicCorpus, root: Path) -> list[Path]:
    """The files that make the rows."""
    tables = _tables(corpus, root) if corpus.table else []
    return sorted([*(path for path, _ in _matches(corpus, root)[0]), *tables])


def recognise(root: Path) -> str | None:
    """The public corpus whose files a folder holds, by the names of the first ones; None if it is of none."""
    names = [path.relative_to(root).as_posix() for path, _ in zip(_media(root), range(_LOOKED_AT), strict=False)]
    for name in public_names() if names else ():
        corpus = describe(name)
        patterns = [path_pattern(pattern) for pattern in (corpus.files, *corpus.left_out.values())]
        if sum(any(pattern.search(one) for pattern in patterns) for one in names) >= _ALIKE * len(names):
            return name
    return None


def _files(root: Path) -> Iterator[Path]:
    """Every file below a folder, in order; hidden ones and what a Mac leaves in archives are not seen."""
    seen: set[str] = set()  # links between folders may go in circles
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def _media(root: Path) -> Iterator[Path]:
    """Audio and video files below a folder."""
    return (path for path in _files(root) if path.suffix.lower() in AUDIO_SUFFIXES + VIDEO_SUFFIXES)


def _matches(corpus: PublicCorpus, root: Path) -> tuple[list[tuple[Path, re.Match[str]]], list[Path]]:
    """Files that the pattern matches, and those that it does not."""
    pattern, matched, others = path_pattern(corpus.files), [], []
    for path in _media(root):
        match = pattern.search(path.relative_to(root).as_posix())
        if match is None:
            others.append(path)
        else:
            matched.append((path, match))
    return matched, others


def _nothing(corpus: PublicCorpus, root: Path, others: Sequence[Path]) -> str:
    """What to say of a folder without a recording of the corpus."""
    example = f", such as {corpus.example}" if corpus.example else ""
    start = f"{readable(root)}: no recording of {corpus.title}{example}"
    known = recognise(root)
    if known is not None and known != corpus.name:
        return f"{start}; this is {describe(known).title}: --corpus {known}"
    if any(root.rglob("*.parquet")):
        start += "; recordings inside Parquet files are not read"
    elif others:
        start += f"; it contains {len(others)} other files, such as {readable(others[0].relative_to(root))}"
    archives = sorted(path.name for path in root.glob("*.zip"))
    return f"{start}{f'; unzip {readable(archives[0])}' if archives else ''}. {corpus.where_to_get}"


def _log_left_out(corpus: PublicCorpus, root: Path, others: Sequence[Path]) -> None:
    """Says which audio and video files of the folder are no recordings of the corpus, by what they are."""
    kinds = {what: path_pattern(pattern) for what, pattern in corpus.left_out.items()}
    counts: Counter[str] = Counter()
    for path in others:
        name = path.relative_to(root).as_posix()
        counts[next((what for what, pattern in kinds.items() if pattern.search(name)), "")] += 1
    told = [f"{count} of {what}" for what, count in counts.items() if what]
    if counts[""]:
        odd = next(p for p in others if not any(k.search(p.relative_to(root).as_posix()) for k in kinds.values()))
        told.append(
            f"{counts['']} with names that no recording of the corpus has, such as {readable(odd.relative_to(root))}"
        )
    if told:
        logger.warning("%s: files left out: %s", readable(root), "; ".join(told))


def _once(root: Path, matched: Sequence[tuple[Path, re.Match[str]]]) -> dict[str, tuple[Path, re.Match[str]]]:
    """Files by id; of those that are there twice the one nearest to the top, which the log says."""
    files: dict[str, tuple[Path, re.Match[str]]] = {}
    twice: list[tuple[Path, Path]] = []
    for path, match in sorted(matched, key=lambda one: (len(one[0].parts), one[0].suffix.lower() != ".wav", one[0])):
        key = os.path.splitext(match["id_"])[0].lower()
        if key in files:
            twice.append((files[key][0], path))
        else:
            files[key] = (path, match)
    if twice:
        unequal = sum(one.stat().st_size != two.stat().st_size for one, two in twice)
        kept, other = (readable(path.relative_to(root)) for path in twice[0])
        logger.warning("%s: %d recordings occur twice and are read once, such as %s and not %s%s", readable(root),
                       len(twice), kept, other, f"; {unequal} of them differ in size" if unequal else "")  # fmt: skip
    return files


def _refuse_pointers(root: Path, paths: Sequence[Path]) -> None:
    """Git LFS leaves a few lines of text in the place of a recording that was not fetched."""
    small = [path for path in paths if path.stat().st_size < 1024]
    pointers = [path for path in small if path.read_bytes()[: len(_LFS)] == _LFS]
    if pointers:
        raise CorpusError(
            f"{readable(root)}: {len(pointers)} of {len(paths)} recordings, such as "
            f"{readable(pointers[0].relative_to(root))}, are pointers of Git LFS; `git lfs pull` fetches them"
        )


def _tables(corpus: PublicCorpus, root: Path) -> list[Path]:
    name = corpus.table["file"]
    found = [path for path in _files(root) if path.name.lower() == PurePosixPath(name).name.lower()]
    if not found:
        raise CorpusError(f"{readable(root)}: no table {name}, which contains the sentences. {corpus.where_to_get}")
    return sorted(found, key=lambda path: (len(path.parts), path))[:1]


def _table_rows(corpus: PublicCorpus, root: Path) -> dict[str, dict[str, str]]:
    """Cells of the table by the name of the recording, without its ending and in lower case."""
    if not corpus.table:
        return {}
    (path,) = _tables(corpus, root)
    rows: dict[str, dict[str, str]] = {}
    columns: Mapping[str, str] = corpus.table["columns"]
    for line in read_table(path):
        absent = [name for name in (corpus.table["key"], *columns.values()) if name not in line.values]
        if absent:
            raise CorpusError(f"{path}: no column {', '.join(absent)}; the columns are {', '.join(line.values)}")
        key = os.path.splitext(PurePosixPath(str(line.values[corpus.table["key"]]).strip()).name)[0].lower()
        cells = {name: str(line.values[column]).strip() for name, column in columns.items()}
        if rows.setdefault(key, cells) != cells:
            raise CorpusError(f"{path}: '{key}' has two rows, and rows are matched by file name, without folders")
    return rows


def _recording(
    corpus: PublicCorpus,
    path: Path,
    match: re.Match[str],
    rows: Mapping[str, Mapping[str, str]],
    problems: list[str],
) -> Recording | None:
    """What a file is; None if a code of its name is not known, which is added to the problems."""
    cells: dict[str, str] = {name: code for name, code in match.groupdict().items() if name != "id_" and code}
    if corpus.table:
        own = rows.get(path.stem.lower())
        if own is None:
            problems.append(f"{readable(path)}: not in {corpus.table['file']}")
            return None
        cells.update(own)
    if lacking := [name for name in ("emotion", "speaker") if name not in cells]:
        problems.append(f"{readable(path)}: its name does not say {' and '.join(lacking)}, see 'files'")
        return None
    label = _known(corpus.labels, cells["emotion"], "emotion", path, problems)
    text = cells.get("text")
    if "sentence" in cells:
        text = _known(corpus.sentences, cells["sentence"], "sentence", path, problems)
    speaker: str | None = cells["speaker"]
    if corpus.speakers:
        named = {code: code for code in corpus.genders}
        speaker = _known(named, cells["speaker"], "speaker", path, problems)
    if label is None or speaker is None or ("sentence" in cells and text is None):
        return None
    gender = cells.get("gender") or corpus.genders.get(speaker)
    return Recording(os.path.splitext(match["id_"])[0], path, label, speaker, gender, text or None)


def _known(names: Mapping[str, str], code: str, what: str, path: Path, problems: list[str]) -> str | None:
    """What a code stands for, whatever its case."""
    found = next((name for known, name in names.items() if known.lower() == code.lower()), None)
    if found is None:
        problems.append(f"{readable(path)}: {what} '{code}' is not one of {', '.join(names)}")
    return found
