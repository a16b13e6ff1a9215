"""How many utterances IEMOCAP has, as published, and what a loaded corpus lacks or has too many of."""

from collections import Counter

from datasets import Dataset

from hf_mer.data.schema import column

_SESSIONS = ("Ses01", "Ses02", "Ses03", "Ses04", "Ses05")

# Labels of the corpus to class names; utterances with other labels are history only.
TASKS: dict[str, dict[str, str]] = {
    "4class": {"ang": "angry", "hap": "happy", "exc": "happy", "neu": "neutral", "sad": "sad"},
    "6class": {
        "ang": "angry",
        "exc": "excited",
        "fru": "frustrated",
        "hap": "happy",
        "neu": "neutral",
        "sad": "sad",
    },
}
# Utterances of each session per label of the corpus (EmoEvaluation), 10039 in all.
LABEL_COUNTS: dict[str, tuple[int, int, int, int, int]] = {
    "neu": (384, 362, 320, 258, 384),
    "fru": (280, 325, 382, 481, 381),
    "ang": (229, 137, 240, 327, 170),
    "sad": (194, 197, 305, 143, 245),
    "exc": (143, 210, 151, 238, 299),
    "hap": (135, 117, 135, 65, 143),
    "sur": (25, 17, 28, 19, 18),
    "fea": (12, 9, 2, 7, 10),
    "oth": (1, 1, 0, 1, 0),
    "dis": (1, 0, 1, 0, 0),
    "xxx": (415, 436, 572, 564, 520),
}
# The 4-class set by part and by speaker.
PART_COUNTS_4CLASS = {"improvised": 2943, "scripted": 2588}
SPEAKER_COUNTS_4CLASS = {
    "Ses01_F": 528,
    "Ses01_M": 557,
    "Ses02_F": 481,
    "Ses02_M": 542,
    "Ses03_F": 522,
    "Ses03_M": 629,
    "Ses04_F": 528,
    "Ses04_M": 503,
    "Ses05_F": 590,
    "Ses05_M": 651,
}


def published_counts(classes: dict[str, str]) -> dict[tuple[str, str], int]:
    """Utterances per session and class.

    Args:
        classes: Labels of the corpus to class names, such as `TASKS["4class"]`.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for label, name in classes.items():
        for session, count in zip(_SESSIONS, LABEL_COUNTS[label], strict=True):
            counts[session, name] += count
    return dict(counts)


def compare_counts(rows: Dataset, task: str = "4class") -> list[str]:
    """Where a loaded corpus differs from the published counts.

    Args:
        rows: From `load_iemocap`.
        task: `4class` or `6class`.

    Returns:
        One line per session and class (for `4class` also per speaker and part) that differs; empty if none does.
    """
    names = rows.features["label"].names
    sessions = column(rows, "session")
    found = Counter(zip(sessions, (names[label] for label in column(rows, "label")), strict=True))
    published = published_counts(TASKS[task])
    differences = [
        f"{session} {name}: {found[session, name]} utterances, published {count}"
        for (session, name), count in sorted(published.items())
        if found[session, name] != count
    ]
    if task == "4class":
        for kind, counts in (("speaker", SPEAKER_COUNTS_4CLASS), ("part", PART_COUNTS_4CLASS)):
            found_here = Counter(column(rows, kind))
            differences += [
                f"{kind} {value}: {found_here[value]} utterances, published {count}"
                for value, count in counts.items()
                if found_here[value] != count
            ]
    if differences:
        total = sum(published.values())
        differences.append(f"in all: {len(rows)} utterances, published {total}")
    return differences
