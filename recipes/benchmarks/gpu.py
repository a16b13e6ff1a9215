"""What a GPU makes of the models: training steps in bf16, memory, whether the loader keeps up, torch.compile.

    recipes/benchmarks/gpu.sh OUT
    python recipes/benchmarks/gpu.py OUT --device cpu --size tiny --minutes 2

Weights are random and everything is made here: nothing is downloaded. OUT/gpu.json and OUT/gpu.md are written after
every part, the most important first. A part that fails is noted and does not end the others; when the minutes are over
the part that runs is stopped and the rest is noted as left out. The encoders alone are trained as step_time.py trains
them (the library's own, mean of their states as loss), or where the model freezes them run forward only. A time is
that of one of several steps in a row, the median of the rounds with the shortest and the longest; memory is the peak
of a step with weights, AdamW's moments and the batch. WavFusion has its default freezing, the others train everything.
"""

import argparse
import gc
import json
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measuring
import torch
from gpu_steps import compiled_row, flash_rows, step_rows, synchronisation_rows
from gpu_systems import MODELS, Shape, Subject
from step_time import peak_tflops

SHAPES = {  # one realistic batch, two sizes of it, and one with as much sound in clips of mixed lengths
    "base": (Shape(16, 4.5, 20), Shape(64, 4.5, 20), Shape(16, 8, 36, 0.125)),
    "tiny": (Shape(2, 0.5, 8), Shape(4, 0.5, 8), Shape(2, 0.8, 12, 0.25)),
}
LOADED = {"base": (Shape(32, 8, 36, 0.125), 40), "tiny": (Shape(2, 0.5, 8, 0.5), 4)}  # batches, and how many of them
COMPILING = {True: 40, False: 90}  # seconds that are left at least when compiling begins: layer by layer, as a whole
COLUMNS = {
    "Training step": {
        "system": "system", "shape": "batch", "ms": "ms", "rate": "utterances/s", "tflops": "TFLOP/s (of the peak)",
        "memory": "peak GiB", "ratio": "over its encoders alone",
    },
    "Loader": {
        "workers": "workers", "rate": "utterances/s", "lost": "lost to the loader",
        "waiting": "waiting for a batch, step by step", "batch_ms": "ms a batch is waited for",
    },
    "torch.compile": {
        "system": "system", "shape": "batch", "ms": "ms", "rate": "utterances/s", "ratio": "over eager",
        "compile": "s to compile", "graphs": "graphs", "breaks": "breaks of the graph",
    },
    "Synchronisations": {
        "system": "system", "shape": "batch", "count": "in one training step", "places": "where",
    },
}  # fmt: skip
Rows = list[dict[str, Any]]


class OutOfTime(BaseException):
    """The minutes are over; no library that catches exceptions goes on after it."""


class LeftOut(Exception):
    """A part that does not run, and why."""


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for gpu.json and gpu.md")
    parser.add_argument("--size", choices=SHAPES, default="base", help="size of all encoders")
    parser.add_argument(
        "--minutes", type=float, default=8.0, help="time limit in minutes, once the libraries are imported"
    )
    parser.add_argument("--repeats", type=int, default=5, help="number of rounds of five steps (one step on a CPU)")
    parser.add_argument("--peak-tflops", type=float, help="peak of the card in bf16, TFLOP/s, if it is not known")
    parser.add_argument(
        "--parts", nargs="+", metavar="PART", help="parts to run, by the beginning of their names (default: all)"
    )
    measuring.add_device_argument(parser)
    parser.set_defaults(device="cuda", bf16=True)
    settings = parser.parse_args(argv)
    for wanted in settings.parts or ():
        if not any(name.startswith(wanted) for name in parts()):
            parser.error(f"--parts: '{wanted}' is the beginning of none of {', '.join(map(repr, parts()))}")
    return settings


class Bench:
    """The model at hand, of which one at a time is on the device, and what was measured so far."""

    def __init__(self, settings: argparse.Namespace):
        self.settings, self.started = settings, time.monotonic()
        self.plain, self.large, self.mixed = SHAPES[settings.size]
        self.subject: Subject | None = None
        self.tables: dict[str, Rows] = {title: [] for title in COLUMNS}
        self.notes: list[str] = []
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    def get(self, name: str) -> Subject:
        """The model of that name; the one before leaves the device."""
        if self.subject is None or self.subject.name != name:
            self.drop()
            self.subject = Subject(name, self.settings)
        return self.subject

    def drop(self) -> None:
        """Frees the device of the model and of what a part that failed left there."""
        self.subject = None
        gc.collect()
        if self.settings.device.startswith("cuda"):
            torch.cuda.empty_cache()

    def left(self) -> float:
        """Seconds."""
        return 60 * self.settings.minutes - (time.monotonic() - self.started)

    def run(self, name: str, part: Callable[["Bench"], None]) -> None:
        """One part; what it measured is written whatever becomes of it."""
        started = time.monotonic()
        try:
            with deadline(self.left()):
                part(self)
        except OutOfTime:
            self.notes.append(f"{name}: stopped, {self.settings.minutes:g} minutes are over")
        except LeftOut as reason:
            self.notes.append(f"{name}: left out, {reason}")
        except Exception as error:
            traceback.print_exc()
            self.failed.append(name)
            self.notes.append(f"{name}: failed, {type(error).__name__}: {(str(error) or '-').splitlines()[0]}")
            error.__traceback__ = None  # whose frames hold tensors
            self.drop()
        self.seconds[name] = round(time.monotonic() - started, 1)
        self.write()
        print(f"{name}: {self.seconds[name]} s, {self.left():.0f} s left", flush=True)

    def add(self, title: str, rows: Rows) -> None:
        """Rows of a table, written at once."""
        self.tables[title] += rows
        self.write()

    def write(self) -> None:
        """OUT/gpu.json and OUT/gpu.md."""
        result = {
            "settings": vars(self.settings), "hardware": hardware(self.settings), "tables": self.tables,
            "notes": self.notes, "seconds": self.seconds,
        }  # fmt: skip
        measuring.write(self.settings.out / "gpu.json", json.dumps(result, indent=2, default=str))
        measuring.write(self.settings.out / "gpu.md", self.markdown())

    def markdown(self) -> str:
        """The tables for the page of the benchmarks."""
        blocks = [measuring.machine_line(hardware(self.settings))]
        for title, rows in self.tables.items():
            if rows:
                blocks += [f"### {title}", measuring.table(COLUMNS[title], rows)]
        if self.notes:
            blocks += ["### Not measured here", "\n".join(f"- {note}" for note in self.notes)]
        return "\n\n".join(blocks)


def hardware(settings: argparse.Namespace) -> dict[str, Any]:
    """The machine, and what PyTorch may do on it."""
    found = {**measuring.hardware(settings.device), "precision": "bf16 autocast"}
    found["peak TFLOP/s"] = peak_tflops(settings) or "unknown"
    found["TF32 in matrix products"] = torch.backends.cuda.matmul.allow_tf32
    found["TF32 in convolutions"] = torch.backends.cudnn.allow_tf32
    return found


def step_part(name: str, shape: str, cached: bool = False) -> Callable[[Bench], None]:
    """Training steps of a model and its encoders on one shape of a batch."""

    def part(bench: Bench) -> None:
        rows = step_rows(bench.get(name), getattr(bench, shape), bench.settings, cached)
        bench.add("Training step", rows[: 1 if cached else 2])

    return part


def synchronisation_part(name: str) -> Callable[[Bench], None]:
    """Where a step waits for the GPU, on a padded batch."""

    def part(bench: Bench) -> None:
        if not bench.settings.device.startswith("cuda"):
            raise LeftOut("only CUDA says where it waits")
        bench.add("Synchronisations", synchronisation_rows(bench.get(name), bench.mixed))

    return part


def loader_part(bench: Bench) -> None:
    """Does the loader keep up."""
    from gpu_loading import loading_rows  # brings in what reads recordings

    for row in loading_rows(bench.get("LE-MER"), *LOADED[bench.settings.size], bench.settings):
        bench.add("Loader", [row])


def flash_part(bench: Bench) -> None:
    """Flash attention of its package."""
    from transformers.utils import is_flash_attn_2_available

    if not is_flash_attn_2_available():
        raise LeftOut("flash_attn is not installed; sdpa takes PyTorch's own flash kernel where nothing is padding")
    bench.add("Training step", flash_rows(bench.get("LE-MER"), bench.mixed, bench.settings))
    bench.drop()  # whose attention is another now


def compile_part(name: str, by_layer: bool) -> Callable[[Bench], None]:
    """The model through torch.compile."""

    def part(bench: Bench) -> None:
        if bench.left() < COMPILING[by_layer]:
            raise LeftOut(f"{bench.left():.0f} s are left, and compiling may take {COMPILING[by_layer]}")
        bench.add("torch.compile", [compiled_row(bench.get(name), bench.plain, bench.settings, by_layer)])
        bench.drop()  # whose layers are others now

    return part


def parts() -> dict[str, Callable[[Bench], None]]:
    """Every part by name, the most important first; those of a model follow each other."""
    found: dict[str, Callable[[Bench], None]] = {}
    for name in MODELS:
        found[f"{name}, batch"] = step_part(name, "plain")
        found[f"{name}, large batch"] = step_part(name, "large")
        if name == "LE-MER":
            found[f"{name}, mixed lengths"] = step_part(name, "mixed")
        if name == "WavFusion":
            found[f"{name}, cached states, batch"] = step_part(name, "plain", cached=True)
            found[f"{name}, cached states, large batch"] = step_part(name, "large", cached=True)
        found[f"{name}, synchronisations"] = synchronisation_part(name)
    found["loader"] = loader_part
    found["flash attention"] = flash_part
    found["compile layers, LE-MER"] = compile_part("LE-MER", by_layer=True)
    found["compile layers, MGCMA"] = compile_part("MGCMA", by_layer=True)
    found["compile, LE-MER"] = compile_part("LE-MER", by_layer=False)
    return found


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raises `OutOfTime` in the block once the seconds are over; once only, so that what was measured is written."""

    def stop(*_: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def main(argv: list[str] | None = None) -> int:
    settings = parse(argv)
    settings.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(settings)
    for name, part in parts().items():
        if settings.parts and not any(name.startswith(wanted) for wanted in settings.parts):
            continue
        if bench.left() <= 0:
            bench.notes.append(f"{name}: left out, {settings.minutes:g} minutes are over")
            continue
        bench.run(name, part)
    bench.write()
    print("\n" + bench.markdown())
    return 1 if bench.failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
