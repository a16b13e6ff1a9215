"""How long the rows of a batch become: `padding`, `max_length` and the like, as in processors of transformers."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np

_PADDING = (None, True, False, "longest", "max_length", "do_not_pad")
_NESTED = ("text_kwargs", "audio_kwargs", "videos_kwargs")
_SHORTEST_TEXT = 8  # tokens that `max_text_tokens` must have, too


class LengthKwargs(TypedDict, total=False):
    """Of clips, in frames."""

    padding: bool | str | None
    max_length: int | None
    pad_to_multiple_of: int | None
    return_tensors: str | None


class TextLengthKwargs(LengthKwargs, total=False):
    """Of texts, in tokens; these may stand outside `text_kwargs` as well."""

    truncation: bool | str | None


class AudioLengthKwargs(LengthKwargs, total=False):
    """Of audio, in samples of `input_values` or (stacked) frames of `input_features`."""

    truncation: bool | str | None
    sampling_rate: int | None


class MerProcessorKwargs(TypedDict, total=False):
    """Keywords of `MerProcessor` that say what a batch looks like."""

    text_kwargs: TextLengthKwargs
    audio_kwargs: AudioLengthKwargs
    images_kwargs: LengthKwargs  # which the base class wants to find; there are none
    videos_kwargs: LengthKwargs


@dataclass(frozen=True)
class Lengths:
    """How long the rows of one modality become.

    Attributes:
        kind: `text`, `audio` or `video`, for messages.
        unit: What is counted.
        max_length: That no row may exceed; None for no limit.
        is_fixed: Whether all rows are padded to `max_length`, and not to the longest.
        multiple: Of which the length is one.
        pads: Whether rows may be padded at all.
        cuts: Whether longer rows are cut at `max_length`.
    """

    kind: str
    unit: str
    max_length: int | None = None
    is_fixed: bool = False
    multiple: int = 1
    pads: bool = True
    cuts: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any], kind: str, unit: str, longest: int | None) -> "Lengths":
        """Checks the settings of one modality; `longest` is what `padding="max_length"` means without a length."""
        padding, truncation = given.get("padding"), given.get("truncation")
        if padding not in _PADDING:
            raise ValueError(f"{kind}: padding={padding!r} must be one of {', '.join(map(repr, _PADDING))}")
        sizes = {}
        least = {"max_length": _SHORTEST_TEXT if kind == "text" else 1, "pad_to_multiple_of": 1}
        for name, minimum in least.items():
            sizes[name] = size = given.get(name)
            if size is not None and (isinstance(size, bool) or not isinstance(size, (int, np.integer))):
                raise TypeError(f"{kind}: {name}={size!r} must be a whole number of {unit}")
            if size is not None and size < minimum:
                raise ValueError(f"{kind}: {name}={size} must be at least {minimum} {unit}")
        max_length = sizes["max_length"]
        if padding == "max_length" and max_length is None:
            if longest is None:
                raise ValueError(f"{kind}: padding='max_length' needs max_length, in {unit}")
            max_length = longest
        cuts = truncation not in (None, False, "do_not_truncate")
        if kind == "audio" and cuts and max_length is None:
            raise ValueError(f"audio: truncation={truncation!r} needs max_length, in {unit}")
        if kind == "text" and truncation is not None and not cuts:
            raise ValueError(f"text: truncation={truncation!r}, but text is always cut (max_text_tokens, max_length)")
        pads = padding not in (False, "do_not_pad")
        return cls(kind, unit, max_length, padding == "max_length", sizes["pad_to_multiple_of"] or 1, pads, cuts)

    def common(self, sizes: Sequence[int | None]) -> int:
        """Length of all rows of a batch.

        Args:
            sizes: Their own lengths; None where an item lacks the modality.

        Raises:
            ValueError: If a row is longer than `max_length`, or rows differ that may not be padded.
        """
        real = [size for size in sizes if size is not None]
        longest = max(real)
        if self.max_length is not None and longest > self.max_length:
            advice = f"set {self.kind}_kwargs={{'truncation': True}} to cut it, or" if self.kind == "audio" else "set"
            raise ValueError(
                f"{self.kind} of item {sizes.index(longest)} has {longest} {self.unit}, more than "
                f"max_length={self.max_length}: {advice} a larger max_length"
            )
        length = self.max_length if self.is_fixed and self.max_length is not None else longest
        length = math.ceil(length / self.multiple) * self.multiple
        if not self.pads and (len(real) < len(sizes) or min(real) < length):
            raise ValueError(f"{self.kind}: padding is off, but the items have {min(real)} to {length} {self.unit}")
        return length


@dataclass(frozen=True)
class BatchSettings:
    """What the keywords of a call say of the batch: lengths of each modality, Hz of arrays, `pt` or `np`."""

    text: Lengths
    audio: Lengths
    video: Lengths
    sampling_rate: int | None = None
    return_tensors: str | None = "pt"

    @classmethod
    def of(cls, processor: Any, kwargs: Mapping[str, Any], has_text: bool = True) -> "BatchSettings":
        """Of keywords as transformers' processors take them: alone, in `<modality>_kwargs` and `common_kwargs`.

        Lengths outside `audio_kwargs` and `videos_kwargs` are those of texts, for each modality counts another unit.
        A tokenizer that was made with `padding="max_length"` is followed where nothing else is said.

        Raises:
            TypeError: If a keyword or its kind is not known.
            ValueError: If a value is not possible, or is given twice.
        """
        _check_names(kwargs)
        flat = {name: value for name, value in kwargs.items() if name not in (*_NESTED, "common_kwargs")}
        texts, audios, clips = (_of_modality(name, flat, kwargs) for name in _NESTED)
        counted = [flat.get("max_length"), flat.get("pad_to_multiple_of")]
        if not has_text and (flat.get("padding") == "max_length" or counted != [None, None]):
            raise ValueError("outside audio_kwargs, max_length counts tokens, and there is no text: use audio_kwargs")
        own = processor.tokenizer.init_kwargs
        if own.get("padding") == "max_length":
            texts = {"padding": "max_length", "max_length": own.get("max_length"), **texts}
        tensors = {given["return_tensors"]: 0 for given in (flat, texts, audios, clips) if "return_tensors" in given}
        if len(tensors) > 1 or not set(tensors) <= {"pt", "np", None}:
            raise ValueError(f"return_tensors={' and '.join(map(repr, tensors))} must be one of 'pt' and 'np'")
        return cls(
            Lengths.of(texts, "text", "tokens", processor.max_text_tokens),
            Lengths.of(audios, "audio", processor.audio_unit, None),
            Lengths.of(clips, "video", "frames", processor.num_frames),
            audios.get("sampling_rate"),
            next(iter(tensors), "pt"),
        )


def _check_names(kwargs: Mapping[str, Any]) -> None:
    """Refuses keywords that would say nothing."""
    known = {name: set(MerProcessorKwargs.__annotations__[name].__annotations__) for name in _NESTED}
    known["common_kwargs"] = known["videos_kwargs"]
    alone = known["text_kwargs"] | {"sampling_rate"}
    if unknown := sorted(set(kwargs) - alone - set(known)):
        raise TypeError(f"unknown keyword {unknown[0]!r}; known are {', '.join(sorted(alone))}, {', '.join(known)}")
    for name, names in known.items():
        given = kwargs.get(name)
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(f"{name}={given!r} must be a dictionary of any of {', '.join(sorted(names))}")
        if unknown := sorted(set(given or {}) - names):
            raise TypeError(f"{name} has the unknown key {unknown[0]!r}; known are {', '.join(sorted(names))}")


def _of_modality(name: str, flat: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of one modality, wherever it is said."""
    own = dict(kwargs.get(name) or {})
    wanted = {"audio_kwargs": {"sampling_rate"}, "text_kwargs": set(TextLengthKwargs.__annotations__)}.get(name, set())
    outside = {key: value for key, value in flat.items() if key in wanted}
    for key in sorted(set(outside) & set(own)):
        raise ValueError(f"{key} is given twice: as {outside[key]!r} and in {name} as {own[key]!r}")
    return {**dict(kwargs.get("common_kwargs") or {}), **own, **outside}


def pad_arrays(arrays: Sequence[np.ndarray | None], length: int, name: str, fill: float = 0.0) -> np.ndarray:
    """The arrays of one batch, padded at their ends.

    Args:
        arrays: One per item; None where it lacks the modality, all padding then.
        length: Of the padded rows, at least that of the longest array.
        name: Of the arrays, for messages.
        fill: What padding is made of.

    Returns:
        Shape `(B, length, ...)`: int64 for whole numbers, else float32.

    Raises:
        ValueError: If the arrays differ in another axis than the first.
    """
    first = next(array for array in arrays if array is not None)
    odd = [array.shape[1:] for array in arrays if array is not None and array.shape[1:] != first.shape[1:]]
    if odd:
        raise ValueError(f"{name} of one batch differ in shape, {first.shape[1:]} and {odd[0]}: set one size")
    dtype = np.int64 if first.dtype.kind in "biu" else np.float32
    padded = np.full((len(arrays), length, *first.shape[1:]), fill, dtype=dtype)
    for row, array in enumerate(arrays):
        if array is not None:
            padded[row, : len(array)] = array
    return padded


def pad_masked(
    arrays: Sequence[np.ndarray | None], name: str, mask_name: str, lengths: Lengths | None = None
) -> dict[str, np.ndarray]:
    """`pad_arrays`, and a mask `(B, length)`, 1 for what is real; as long as the longest by default."""
    sizes = [None if array is None else len(array) for array in arrays]
    length = (lengths or Lengths(name, "places")).common(sizes)
    mask = pad_arrays([None if size is None else np.ones(size, np.int64) for size in sizes], length, mask_name)
    return {name: pad_arrays(arrays, length, name), mask_name: mask}
