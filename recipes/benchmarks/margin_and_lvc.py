"""Margin loss and learnable visual centre against their naive forms: time and peak memory, growing with the batch.

    python recipes/benchmarks/margin_and_lvc.py
    python recipes/benchmarks/margin_and_lvc.py --batches 256 1024 4096 --device cuda

Naive margin loss: each anchor's positives and negatives as lists, and one tensor `(N, P, K)` of the hinges of all
triples, N items (utterances times modalities), P positives and K negatives of an anchor at most. Naive centre: one
tensor `(B, F, K, C)` of the residuals of every frame to every codeword; once the soft assignment alone, once in the
whole layer. Either form runs forward and backward; before it is timed, loss and gradient are compared. Peak memory is
what PyTorch's allocator holds at most beyond what it held before, in one forward and backward. A naive form that would
need more than `--limit-gib` is left out.
"""

import argparse
from collections.abc import Callable
from typing import Any

import measuring
import torch
from measuring import Ratio
from torch import Tensor
from torch.nn import functional

from hf_mer.models.mer_losses import margin_loss
from hf_mer.models.wavfusion_layers import LearnableVisualCentre

MARGIN, MODALITIES, SHARED_DIM = 0.1, 3, 64
NAIVE_BYTES = 24  # per cell of the largest tensor: five or so of its kind, in float32, live at the peak
PARTS = ("margin loss", "LVC, assignment", "LVC")
Step = Callable[[], tuple[Tensor, Tensor]]  # gives loss and gradient


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[16, 32, 64, 128, 256], help="utterances")
    parser.add_argument("--classes", type=int, default=4, help="classes of the margin loss, all equally frequent")
    parser.add_argument("--frames", type=int, default=8, help="frames per clip")
    parser.add_argument("--width", type=int, default=64, help="channels C of the visual centre")
    parser.add_argument("--codewords", type=int, default=64, help="codewords K of the visual centre")
    parser.add_argument("--repeats", type=int, default=15, help="number of rounds; each runs every case once")
    parser.add_argument("--limit-gib", type=float, default=6.0, help="memory limit of a naive form, in GiB")
    measuring.add_device_argument(parser)
    measuring.add_output_argument(parser)
    return parser.parse_args(argv)


def naive_margin_loss(items: Tensor, modalities: Tensor, labels: Tensor, present: Tensor, margin: float) -> Tensor:
    """`margin_loss`, triple by triple."""
    directions = functional.normalize(items.float(), dim=-1)
    cosines = directions @ directions.T  # (N, N)
    pairs = present[:, None] & present[None, :]
    same_modality = modalities[:, None] == modalities[None, :]
    same_label = labels[:, None] == labels[None, :]
    pulled, is_positive = _partners(pairs & ~same_modality & same_label)  # (N, P)
    pushed, is_negative = _partners(pairs & same_modality & ~same_label)  # (N, K)
    differences = cosines.gather(1, pushed)[:, None, :] - cosines.gather(1, pulled)[:, :, None]  # (N, P, K)
    real = is_positive[:, :, None] & is_negative[:, None, :]
    return ((margin + differences).relu() * real).sum() / real.sum().clamp(min=1)


def _partners(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Indices of the true cells of every row, padded to the longest row, and which of them are real."""
    order = mask.int().argsort(dim=1, descending=True, stable=True)[:, : int(mask.sum(dim=1).max())]
    return order, mask.gather(1, order)


class NaiveVisualCentre(LearnableVisualCentre):
    """The layer with the residuals of every frame to every codeword."""

    def encode(self, states: Tensor, mask: Tensor) -> Tensor:
        residuals = states[:, :, None] - self.codewords  # (B, F, K, C)
        assignment = (self.smoothing * residuals.square().sum(-1)).softmax(dim=-1) * mask.unsqueeze(-1)
        return (assignment.unsqueeze(-1) * residuals).sum(dim=1)


def margin_steps(settings: argparse.Namespace, batch: int) -> dict[str, Step]:
    """Forward and backward of either form on the same items."""
    count = batch * MODALITIES
    items = torch.randn(count, SHARED_DIM, generator=torch.Generator().manual_seed(0)).to(settings.device)
    items.requires_grad_()
    index = torch.arange(count, device=settings.device)
    modalities, labels = index % MODALITIES, index // MODALITIES % settings.classes
    present = torch.ones_like(labels, dtype=torch.bool)

    def step_of(function: Callable[..., Tensor]) -> Step:
        def step() -> tuple[Tensor, Tensor]:
            loss = function(items, modalities, labels, present, MARGIN)
            return loss.detach(), torch.autograd.grad(loss, items)[0]

        return step

    return {"this": step_of(margin_loss), "naive": step_of(naive_margin_loss)}


def centre_steps(settings: argparse.Namespace, batch: int, whole: bool) -> dict[str, Step]:
    """Forward and backward of either form with the same weights, of the whole layer or of the assignment alone."""
    torch.manual_seed(0)
    layers = {
        name: kind(settings.width, settings.codewords).to(settings.device)
        for name, kind in (("this", LearnableVisualCentre), ("naive", NaiveVisualCentre))
    }
    layers["naive"].load_state_dict(layers["this"].state_dict())
    states = torch.randn(batch, settings.frames, settings.width).to(settings.device).requires_grad_()
    mask = torch.ones(batch, settings.frames, dtype=torch.bool, device=settings.device)

    def step_of(layer: LearnableVisualCentre) -> Step:
        parameters = list(layer.parameters()) if whole else [layer.codewords, layer.smoothing]

        def step() -> tuple[Tensor, Tensor]:
            output = layer(states, mask) if whole else layer.encode(states, mask)
            loss = output.square().mean()
            return loss.detach(), torch.autograd.grad(loss, [states, *parameters])[0]

        return step

    return {name: step_of(layer) for name, layer in layers.items()}


def naive_cells(settings: argparse.Namespace, part: str, batch: int) -> int:
    """Cells of the naive form's largest tensor."""
    if part == "margin loss":
        most = -(-batch // settings.classes)  # utterances of the most frequent class
        fewest = batch // settings.classes
        return batch * MODALITIES * (MODALITIES - 1) * most * (batch - fewest)
    return batch * settings.frames * settings.codewords * settings.width


def check_alike(steps: dict[str, Step], what: str) -> None:
    """Refuses to compare what does not compute the same."""
    (loss, gradient), (naive_loss, naive_gradient) = steps["this"](), steps["naive"]()
    torch.testing.assert_close(loss, naive_loss, rtol=1e-3, atol=1e-5, msg=lambda text: f"loss of {what}: {text}")
    close = 1e-2 * float(naive_gradient.abs().max())
    torch.testing.assert_close(
        gradient, naive_gradient, rtol=0, atol=close, msg=lambda text: f"gradient of {what}: {text}"
    )


def measure(settings: argparse.Namespace, part: str, batch: int) -> dict[str, Any]:
    """One row of the table."""
    steps = (
        margin_steps(settings, batch) if part == "margin loss" else centre_steps(settings, batch, whole=part == "LVC")
    )
    needed = naive_cells(settings, part, batch) * NAIVE_BYTES / 2**30
    if needed > settings.limit_gib:
        del steps["naive"]
    else:
        check_alike(steps, f"{part}, batch {batch}")
    seconds = measuring.interleaved(steps, settings.repeats, warmup=2, device=settings.device)
    peaks = {name: measuring.peak_allocated_mib(step, settings.device) for name, step in steps.items()}
    row: dict[str, Any] = {"part": part, "batch": batch, "seconds": seconds, "peak_mib": peaks}
    for name in steps:
        row[f"{name}_time"] = f"{1e3 * sorted(seconds[name])[settings.repeats // 2]:.2f}"
        row[f"{name}_memory"] = f"{peaks[name]:.2f}"
    if "naive" in steps:
        ratio = Ratio.of(seconds["naive"], seconds["this"])
        row.update(ratio=str(ratio), ratio_value=ratio.value, memory_value=peaks["naive"] / peaks["this"])
        row["memory"] = f"{row['memory_value']:.2f}"
    else:
        row["ratio"] = f"naive left out: about {needed:.2g} GiB"
    return row


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    rows = [measure(settings, part, batch) for part in PARTS for batch in settings.batches]
    result = {"settings": vars(settings), "hardware": measuring.hardware(settings.device), "rows": rows}
    columns = {
        "part": "forward and backward",
        "batch": "utterances",
        "this_time": "ms",
        "naive_time": "ms, naive",
        "ratio": "time, naive over this",
        "this_memory": "peak MiB",
        "naive_memory": "peak MiB, naive",
        "memory": "memory, naive over this",
    }
    measuring.report(result, columns, rows, settings.json)
    return result


if __name__ == "__main__":
    main()
