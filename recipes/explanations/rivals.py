"""Values of places and of modalities: this package's, and those of the methods that they are compared with.

Every method takes a `Subject` and the index of the explained class and gives, by player, one value a place; all see
the same places. Those for modalities give one value a modality, in which history counts as text.
"""

import zlib
from collections.abc import Callable, Sequence

import numpy as np
from subject import Subject

from hf_mer.models import explain

Values = dict[str, np.ndarray]
"""By player, one value a place. Each of shape `(P,)`."""
STEPS = 32
"""Points on the path of integrated gradients."""


def shapley(subject: Subject, label: int) -> Values:
    """What `explain` gives, with its defaults but for the budget, where the subject has another."""
    name = subject.labels[label]
    found = explain(subject.model, subject.processor, **subject.item, label=name, budget=subject.budget)
    entries = {
        "text": [word for word in found["words"] if word["current"]],
        "history": [word for word in found["words"] if not word["current"]],
        "speech": found["segments"],
        "video": found["video_spans"],
    }
    return {
        player: _each_place([entry["value"] for entry in entries[player]], len(places))
        for player, places in subject.places.items()
    }


def leave_one_out(subject: Subject, label: int) -> Values:
    """What log p of the class loses when one place goes and everything else stays."""
    found = {}
    for player, places in subject.places.items():
        without = ~np.eye(len(places), dtype=bool)
        outcomes = subject.ask([subject.with_left(player, chosen) for chosen in without])
        found[player] = subject.outcomes[label] - outcomes[:, label]
    return found


def random_order(subject: Subject, label: int) -> Values:
    """Values that know nothing, the same for an utterance every time."""
    rng = np.random.default_rng(zlib.crc32(subject.id.encode()))
    return {player: rng.random(len(places)) for player, places in subject.places.items()}


def label_attention(subject: Subject, label: int) -> Values:
    """Cosines with the embedding of the class: mean of a word's tokens, and of the frames in a segment.

    A player whose places have none is left out. A segment so short that no frame's centre lies in it takes the frame
    nearest to its own centre.
    """
    name = subject.labels[label]
    result = subject.recognizer(subject.item, return_attention=True)
    found = {}
    for player, current in (("text", True), ("history", False)):
        words = [word[name] for word in result["words"] if word["current"] is current]
        if words and player in subject.places:
            found[player] = _each_place(words, len(subject.places[player]))
    if result["frames"] and "speech" in subject.places:
        seconds, cosines = np.array(result["frames"]["seconds"]), np.array(result["frames"][name])
        spans = [(entry["start"], entry["end"]) for entry in subject.places["speech"].entries]
        within = [(seconds >= start) & (seconds < end) for start, end in spans]
        nearest = [np.abs(seconds - (start + end) / 2).argmin() for start, end in spans]
        found["speech"] = np.array([
            cosines[inside].mean() if inside.any() else cosines[near]
            for inside, near in zip(within, nearest, strict=True)
        ])  # fmt: skip
    return found


def integrated_gradients(subject: Subject, label: int) -> Values:
    """Integrated gradients of log p of the class, of the embeddings of tokens and of features of sound and picture.

    Along the straight line from the embeddings of padding to those of the tokens, from the faint noise by which
    `explain` removes segments to the sound, and from grey pictures, one modality after the other while the others
    stay. Values of tokens, frames and samples are summed over their place.

    Source: M. Sundararajan, A. Taly and Q. Yan, Axiomatic Attribution for Deep Networks, ICML 2017; by captum.
    """
    from gradients import path_integrals

    found = path_integrals(subject, label, STEPS)
    values = {}
    for player, places in subject.places.items():
        if player in ("text", "history"):
            groups = [positions for _, positions, current in found["words"] if current is (player == "text")]
            values[player] = np.array([found["text"][positions].sum() for positions in groups])
        elif player == "speech":
            values[player] = _within(found["speech"], subject, [entry["end"] for entry in places.entries])
        else:
            values[player] = found["video"]
    return values


METHODS: dict[str, Callable[[Subject, int], Values]] = {
    "explain": shapley,
    "leave one out": leave_one_out,
    "integrated gradients": integrated_gradients,
    "label attention": label_attention,
    "random": random_order,
}


def shapley_of_modalities(subject: Subject, label: int) -> dict[str, float]:
    """What `explain` gives."""
    name = subject.labels[label]
    found = explain(subject.model, subject.processor, **subject.item, label=name, modalities=[])["modalities"]
    return by_modality(found)


def modalities_left_out(subject: Subject, label: int) -> dict[str, float]:
    """What log p of the class loses when one modality goes."""
    modalities = subject.whole.modalities
    parts = {name: [name, "history"] if name == "text" else [name] for name in modalities}
    variants = [
        subject.whole.only([name for name in subject.whole.players if name not in parts[gone]]) for gone in modalities
    ]
    outcomes = subject.ask(variants)[:, label]
    return dict(zip(modalities, (subject.outcomes[label] - outcomes).tolist(), strict=True))


OF_MODALITIES: dict[str, Callable[[Subject, int], dict[str, float]]] = {
    "explain": shapley_of_modalities,
    "leave one out": modalities_left_out,
}


def by_modality(values: dict[str, float]) -> dict[str, float]:
    """Values of players as those of modalities: history is text."""
    found = dict(values)
    if "history" in found:
        found["text"] = found.get("text", 0.0) + found.pop("history")
    return found


def _each_place(values: Sequence[float], count: int) -> np.ndarray:
    """One value a place, also where `explain` valued neighbours together (`Places.grouped`). Shape `(count,)`."""
    sizes = [len(group) for group in np.array_split(np.arange(count), len(values))]
    return np.repeat(np.asarray(values, dtype=np.float64), sizes)


def _within(values: np.ndarray, subject: Subject, ends: Sequence[float]) -> np.ndarray:
    """Sums over segments of values along the sound, the centre of each telling its segment. Shape `(P,)`."""
    seconds = len(subject.utterance.sound) / subject.processor.sampling_rate
    centres = subject.utterance.start + (np.arange(len(values)) + 0.5) / len(values) * seconds
    place = np.searchsorted(ends[:-1], centres, side="right")
    return np.bincount(place, weights=values, minlength=len(ends))
