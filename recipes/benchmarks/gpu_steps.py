"""What `gpu.py` measures of a training step: time, FLOP, memory, where it waits for the GPU; compiled or not."""

import argparse
import statistics
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import measuring
import torch
from gpu_systems import Shape, Subject
from measuring import Ratio
from step_time import flops_of, peak_tflops
from transformers.modeling_layers import GradientCheckpointingLayer

STEPS = {"cuda": 5, "cpu": 1}  # in a row between two looks at the clock, as a training has them
WARMUP = 2  # rounds before the first that counts
SETTLING = 3  # steps of a compiled model before it is timed
BACKEND = "inductor"  # of torch.compile


def step_rows(subject: Subject, shape: Shape, settings: argparse.Namespace, cached: bool = False) -> list[dict]:
    """Two rows: a model's training step, and that of its encoders alone.

    Args:
        subject: The model.
        shape: Of the batch.
        settings: With `device`, `repeats` and `peak_tflops`.
        cached: Whether the model is given the states of its frozen encoders.
    """
    batch = subject.batch(shape)
    inputs = subject.cached(batch) if cached else batch
    steps = {"model": subject.model_step(inputs), "encoders": subject.encoders_step(batch)}
    seconds = timed(steps, settings)
    rows = []
    for side, name in (("model", subject.name + ", cached states" * cached), ("encoders", encoders_of(subject))):
        row: dict[str, Any] = {"system": name, "shape": str(shape), "seconds": seconds[side]}
        row["flops"] = flops_of(steps[side])
        held = subject.held_mib(side, inputs if side == "model" else batch)
        row["mib"] = held + measuring.peak_allocated_mib(steps[side], settings.device)
        rows.append(row)
        row["ratio"] = str(Ratio.of(seconds["model"], seconds["encoders"])) if side == "model" else "1"
        describe(row, shape.batch, settings)
    return rows


def encoders_of(subject: Subject) -> str:
    """What the row of a model's encoders is called."""
    return f"encoders of {subject.name}, {'forward only' if subject.is_frozen else 'alone'}"


def timed(steps: dict[str, Callable[[], None]], settings: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of one step in every round, several in a row, so that the processor may run ahead of the GPU."""
    count = STEPS[torch.device(settings.device).type]

    def in_a_row(step: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            for _ in range(count):
                step()

        return run

    cases = {name: in_a_row(step) for name, step in steps.items()}
    seconds = measuring.interleaved(cases, settings.repeats, WARMUP, settings.device)
    return {name: [value / count for value in values] for name, values in seconds.items()}


def describe(row: dict[str, Any], batch: int, settings: argparse.Namespace) -> None:
    """Adds what the table shows of `seconds`, `flops` and `mib`."""
    median = statistics.median(row["seconds"])
    row["ms"] = f"{1e3 * median:.1f} ({1e3 * min(row['seconds']):.1f}-{1e3 * max(row['seconds']):.1f})"
    row["rate"] = f"{batch / median:.0f}"
    if "flops" in row:
        rate, peak = row["flops"] / median / 1e12, peak_tflops(settings)
        row["tflops"] = f"{rate:.3g}" + (f" ({rate / peak:.0%})" if peak else "")
    if "mib" in row:
        row["memory"] = f"{row['mib'] / 2**10:.2f}"


def synchronisation_rows(subject: Subject, shape: Shape) -> list[dict[str, Any]]:
    """How often a step of the model, and of its encoders alone, makes the processor wait for the GPU, and where."""
    batch = subject.batch(shape)
    steps = {subject.name: subject.model_step(batch), encoders_of(subject): subject.encoders_step(batch)}
    rows = []
    for name, step in steps.items():
        step()  # what is done once is done
        found = synchronisations(step)
        places = "; ".join(f"{place} {count}x" for place, count in found.most_common())
        rows.append({"system": name, "shape": str(shape), "count": sum(found.values()), "places": places})
    return rows


def synchronisations(step: Callable[[], None]) -> Counter[str]:
    """Where PyTorch says that a step waits for the GPU; all of the backward pass is the line that calls it."""
    found: Counter[str] = Counter()

    def note(message: Any, *_: Any) -> None:
        if "synchronizing CUDA operation" in str(message):
            found[place_of(traceback.extract_stack()[:-1])] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return found


def place_of(stack: list[traceback.FrameSummary]) -> str:
    """Innermost line outside PyTorch and Python's library, and the package's own that led there if it is another."""
    lines = [f"{_short(frame.filename)}:{frame.lineno}" for frame in stack]
    named = [line for line in lines if line.startswith(("hf_mer/", "transformers/", "recipes/"))]
    own = [line for line in named if line.startswith("hf_mer/")]
    if not named:
        return lines[-1]
    return named[-1] if not own or own[-1] == named[-1] else f"{named[-1]} (from {own[-1]})"


def _short(filename: str) -> str:
    """A file's path from the package on that it belongs to."""
    for package in ("hf_mer", "transformers", "recipes"):
        if f"/{package}/" in filename:
            return f"{package}/{filename.rpartition(f'/{package}/')[2]}"
    return filename


def compiled_row(subject: Subject, shape: Shape, settings: argparse.Namespace, by_layer: bool) -> dict[str, Any]:
    """A training step of the model through `torch.compile`, over the same without; time until it is steady.

    Args:
        subject: The model, which is no longer as it was if it is compiled by layer.
        shape: Of the batch.
        settings: With `device`, `repeats` and `peak_tflops`.
        by_layer: Whether every layer of a stack is compiled by itself, once for all that are alike; else the model as
            a whole, whose graph breaks where the library draws its SpecAugment.
    """
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    batch, options = subject.batch(shape), {"backend": BACKEND, "dynamic": False}
    if by_layer:
        for layer in layers_of(subject.model):
            layer.compile(**options)
        step = subject.model_step(batch)
    else:
        step = subject.model_step(batch, torch.compile(subject.model, **options))

    def eager() -> None:
        with torch.compiler.set_stance("force_eager"):
            step()

    with torch._dynamo.config.patch(recompile_limit=64):  # kinds of layers and lengths behind one function
        started = time.perf_counter()
        for _ in range(SETTLING):
            step()
        measuring.synchronize(settings.device)
        settled = time.perf_counter() - started
        seconds = timed({"eager": eager, "compiled": step}, settings)
    name = f"{subject.name}, {'layer by layer' if by_layer else 'as a whole'}"
    row: dict[str, Any] = {"system": name, "shape": str(shape), "seconds": seconds["compiled"]}
    describe(row, shape.batch, settings)
    row["compile"] = f"{max(0.0, settled - SETTLING * statistics.median(row['seconds'])):.0f}"
    row["ratio"] = str(Ratio.of(seconds["compiled"], seconds["eager"]))
    row["graphs"] = counters["stats"]["unique_graphs"]
    row["breaks"], row["reasons"] = sum(counters["graph_break"].values()), dict(counters["graph_break"])
    return row


def layers_of(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The layers of all stacks: what transformers checkpoints as one."""
    return [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]


def flash_rows(subject: Subject, shape: Shape, settings: argparse.Namespace) -> list[dict[str, Any]]:
    """`step_rows` with the flash attention of its package in every encoder; the FLOP are those with sdpa."""
    batch = subject.batch(shape)
    flops = {"model": flops_of(subject.model_step(batch)), "encoders": flops_of(subject.encoders_step(batch))}
    for module in (subject.model, *subject.encoders.values()):
        module.set_attn_implementation("flash_attention_2")
    rows = step_rows(subject, shape, settings)
    for row, side in zip(rows, flops, strict=True):
        row.update(flops=flops[side], system=f"{row['system']}, flash_attn")
        describe(row, shape.batch, settings)
    return rows
