"""Units through the pipeline, a few batches at a time, with bad ones told apart."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hf_mer.data.errors import CorpusError
from hf_mer.prediction.outputs import PredictionFile
from hf_mer.prediction.parts import SharedPredictions
from hf_mer.prediction.sources import Unit, item_numbers

_BATCHES = 8  # that are run, and then written, together
_BAD = (
    ValueError,
    OSError,
    TypeError,
    LookupError,
    ArithmeticError,
)  # what libraries make of an input they cannot use


def output_columns(
    units: Sequence[Unit],
    labels: Sequence[str],
    *,
    windows: bool = False,
    words: bool = False,
    errors: bool = False,
    explained: Sequence[str] = (),
) -> list[str]:
    """Columns of a CSV file for these inputs, with those of an explanation for the modalities that are explained."""
    parts = [part for name in explained for part in (("text", "history") if name == "text" else (name,))]
    shown = {name for unit in units for item in unit.items for name in item.shown}
    return [
        *("number", "input"),
        *(name for name in ("line", "id", "file") if name in shown),
        *(("start", "end") if windows or shown & {"start", "end"} else ()),
        *("label", "score"),
        *(f"score_{label}" for label in labels),
        *(("explained", *(f"value_{part}" for part in parts)) if parts else ()),
        *(("text",) if words else ()),
        "warnings",
        *(("error",) if errors else ()),
    ]


def block_size(batch_size: int, slow: bool) -> int:
    """Units that are run together, and then written; those that are cut into windows or explained one by one."""
    return 1 if slow else batch_size * _BATCHES


def predict_all(
    recognise: Any,
    units: Sequence[Unit],
    output: PredictionFile | SharedPredictions,
    *,
    batch_size: int = 8,
    on_bad: str = "raise",
    overwrite: bool = False,
    progress: bool = False,
    **settings: Any,
) -> tuple[int, int]:
    """Recognises everything and writes it as it comes.

    Args:
        recognise: The pipeline.
        units: What is to be recognised.
        output: Where the predictions go; what is there already is not recognised again. Of several processes each
            calls this with its own, and recognises its share.
        batch_size: Utterances at once.
        on_bad: `raise`, or `skip`: the row then says in `error` what is wrong.
        overwrite: Start the output anew.
        progress: Whether to draw a bar of what is left to this process.
        **settings: Of the pipeline's call: `top_k`, `threshold`, `window_seconds`, `hop_seconds`, `explain`.

    Returns:
        The numbers of items that are in the output after this run, and of those among them that could not be used.

    Raises:
        CorpusError: If inputs cannot be used and are to raise: all that is known beforehand, or the first found later.
    """
    from tqdm.auto import tqdm

    problems = [unit.problem for unit in units if unit.problem]
    if problems and on_bad == "raise":
        raise CorpusError.from_problems("inputs", problems, hint="--on-bad skip continues without them")
    # with a threshold the pipeline's result is a dictionary, with recognised words if there are any
    settings["threshold"] = settings.get("threshold") or 0.0
    waiting, numbers = output.begin(units, overwrite), item_numbers(units)
    size = block_size(batch_size, bool(settings.get("window_seconds") or settings.get("explain")))
    total = sum(len(numbers[position]) for position in waiting)
    try:
        with tqdm(total=total, unit="input", disable=not progress) as bar:
            moves = _Moves(bar)
            if progress and not settings.get("window_seconds"):  # whose steps are windows, not inputs
                settings["progress"] = moves
            for first in range(0, len(waiting), size):
                block = waiting[first : first + size]
                rows: list[dict[str, Any]] = []
                moves.end += sum(len(numbers[position]) for position in block)
                try:
                    found = _run(recognise, [units[position] for position in block], batch_size, on_bad, settings)
                    for position, (unit, results) in zip(block, found, strict=True):
                        for number, item, result in zip(numbers[position], unit.items, results, strict=True):
                            rows.append({"number": number, **item.shown, **result})
                finally:
                    output.write(rows)
                moves.update(total)
    finally:
        output.close()
    return sum(map(len, numbers)), output.failed


class _Moves:
    """Moves a bar on with every batch of the pipeline, but not beyond the block that is at work.

    Args:
        bar: Of tqdm.

    Attributes:
        end: Items up to the end of the block.
    """

    def __init__(self, bar: Any):
        self._bar = bar
        self._done = self.end = 0

    def update(self, count: int) -> None:
        """So many more items are done; those of a batch that failed are counted once."""
        step = min(count, self.end - self._done)
        self._done += step
        self._bar.update(step)

    def close(self) -> None:
        """Nothing: the bar goes on with the next block."""


def _run(
    recognise: Any, units: Sequence[Unit], batch_size: int, on_bad: str, settings: Mapping[str, Any]
) -> Iterator[tuple[Unit, list[dict[str, Any]]]]:
    """The results of some units, one list per unit; if one of them fails, all of them one by one."""
    usable = [unit for unit in units if unit.problem is None]
    try:
        found: list[Any] | None = (
            list(recognise([unit.input for unit in usable], batch_size=batch_size, **settings)) if usable else []
        )
    except _BAD:
        found = None
    results_in_order = iter(found or ())
    for unit in units:
        if unit.problem is not None:
            result: Any = {"error": unit.problem}
        else:
            result = _alone(recognise, unit, on_bad, settings) if found is None else next(results_in_order)
        results = result if isinstance(result, list) else [result] * len(unit.items)
        yield unit, [dict(one) for one in results]


def _alone(recognise: Any, unit: Unit, on_bad: str, settings: Mapping[str, Any]) -> Any:
    try:
        return recognise(unit.input, **settings)
    except _BAD as error:
        where = next((item.where for item in unit.items if str(item.shown.get("file") or "\0") in str(error)),
                     unit.items[0].where)  # fmt: skip
        told = str(error) if str(error).startswith(where) else f"{where}: {error}"
        if on_bad == "raise":
            raise CorpusError(f"{told}\n--on-bad skip continues without such inputs") from error
        return {"error": told}
