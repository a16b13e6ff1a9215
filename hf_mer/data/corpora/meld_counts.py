"""How many utterances and dialogues MELD has, as published, and what a loaded corpus lacks or has too many of."""

from collections import Counter

from datasets import Dataset

from hf_mer.data.schema import column

SPLITS = ("train", "dev", "test")

# Class names in the order of the official ids.
TASKS: dict[str, tuple[str, ...]] = {
    "emotion": ("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"),
    "sentiment": ("neutral", "positive", "negative"),
}
# Utterances of train, dev and test per class; 9989, 1109 and 2610 in all.
LABEL_COUNTS: dict[str, dict[str, tuple[int, int, int]]] = {
    "emotion": {
        "neutral": (4710, 470, 1256),
        "surprise": (1205, 150, 281),
        "fear": (268, 40, 50),
        "sadness": (683, 111, 208),
        "joy": (1743, 163, 402),
        "disgust": (271, 22, 68),
        "anger": (1109, 153, 345),
    },
    "sentiment": {
        "neutral": (4710, 470, 1256),
        "positive": (2334, 233, 521),
        "negative": (2945, 406, 833),
    },
}
DIALOGUE_COUNTS = {"train": 1038, "dev": 114, "test": 280}


def compare_counts(rows: Dataset, task: str = "emotion") -> list[str]:
    """Where a loaded corpus differs from the published counts of rows, labels and dialogues.

    Args:
        rows: From `load_meld`.
        task: `emotion` or `sentiment`.

    Returns:
        One line per split and class, and per split for dialogues, that differs; empty if none does.
    """
    names = rows.features["label"].names
    splits = column(rows, "split")
    found = Counter(zip(splits, (names[label] for label in column(rows, "label")), strict=True))
    dialogues = Counter(split for split, _ in set(zip(splits, column(rows, "dialogue"), strict=True)))
    differences = []
    for place, split in enumerate(SPLITS):
        differences += [
            f"{split} {name}: {found[split, name]} utterances, published {counts[place]}"
            for name, counts in LABEL_COUNTS[task].items()
            if found[split, name] != counts[place]
        ]
        if dialogues[split] != DIALOGUE_COUNTS[split]:
            differences.append(f"{split}: {dialogues[split]} dialogues, published {DIALOGUE_COUNTS[split]}")
    if differences:
        published = sum(sum(counts) for counts in LABEL_COUNTS[task].values())
        differences.append(f"in all: {len(rows)} utterances, published {published}")
    return differences
