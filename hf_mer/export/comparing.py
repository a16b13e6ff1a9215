"""A graph beside the model that it was made of."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from hf_mer.export.utterances import Case
from hf_mer.models.finite_mer import check_logits

TOLERANCE = 1e-4


class ExportError(ValueError):
    """A model that cannot be exported, or a graph that does not compute what the model does."""


@dataclass
class Differences:
    """Largest differences between graph and model over all cases.

    Attributes:
        outputs: By output, the largest `|graph - model|`.
        relative: The largest `|graph - model| / max(1, |model|)`, the largest of the model's values in a case.
        worst: Name of the case that has it.
        cases: Their number.
    """

    outputs: dict[str, float] = field(default_factory=dict)
    relative: float = 0.0
    worst: str = ""
    cases: int = 0

    def add(self, case: str, name: str, mine: Tensor, theirs: Tensor) -> None:
        """Takes one output of one case into account."""
        if mine.shape != theirs.shape:
            raise ExportError(f"{case}: {name} has shape {tuple(mine.shape)}, the model's {tuple(theirs.shape)}")
        if theirs.dtype == torch.bool:
            difference = float((mine != theirs).any())
        else:
            difference = float((mine - theirs).abs().max())
            self.outputs[name] = max(difference, self.outputs.get(name, 0.0))
            difference = difference if difference == difference else float("inf")  # NaN
        relative = difference / max(1.0, float(theirs.abs().max()) if theirs.dtype != torch.bool else 1.0)
        if relative >= self.relative:
            self.relative, self.worst = relative, case

    def to_dict(self) -> dict[str, Any]:
        """For `export.json`."""
        return {"cases": self.cases, "largest": self.outputs, "relative": self.relative, "worst_case": self.worst}


@torch.no_grad()
def references(model: Any, cases: Iterable[Case], outputs: Iterable[str]) -> list[Case]:
    """The cases with what the model says to them; done before it is traced, which may leave traces in it.

    Args:
        model: The model.
        cases: Batches.
        outputs: Names of those that the graph has too; kept are those that a batch has.
    """
    wanted = tuple(outputs)
    made = []
    for case in cases:
        output = model(**case.batch, output_attentions=len(wanted) > 1)
        check_logits(model, output.logits)
        kept = {name: output[name] for name in wanted if output.get(name) is not None}
        made.append(replace(case, outputs=kept))
    return made


def compare(graph: Any, expected: Iterable[Case], tolerance: float = TOLERANCE) -> Differences:
    """Runs a graph on every case.

    Args:
        graph: An `OnnxMerModel`.
        expected: Of `references`.
        tolerance: Of `Differences.relative`.

    Raises:
        ExportError: If the graph fails in a case, or differs by more than the tolerance.
    """
    differences = Differences()
    for case in expected:
        try:
            output = graph(**case.batch, output_attentions=True)
        except Exception as error:
            text = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ExportError(f"the graph fails for '{case.name}': {text}") from error
        for key, value in case.outputs.items():
            differences.add(case.name, key, output[key], value)
        differences.cases += 1
    if not differences.relative <= tolerance:
        raise ExportError(
            f"the graph differs from the model by {differences.relative:.2g} for '{differences.worst}', more than "
            f"the tolerance of {tolerance:g}"
        )
    return differences
