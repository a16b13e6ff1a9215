"""What the benchmarks share: interleaved timing, memory of a fresh process, tables that say which machine."""

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import hf_mer  # noqa: F401 (before torch's first tensor, as in every program that uses the package)


@dataclass
class Ratio:
    """What a case takes of its baseline: ratio of the medians, with the smallest and largest of the single rounds."""

    value: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, case: list[float], baseline: list[float]) -> "Ratio":
        rounds = [mine / other for mine, other in zip(case, baseline, strict=True)]
        return cls(statistics.median(case) / statistics.median(baseline), min(rounds), max(rounds))

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.lowest:.2f}-{self.highest:.2f})"


def interleaved(
    cases: dict[str, Callable[[], None]],
    repeats: int,
    warmup: int = 1,
    device: str = "cpu",
    clock: Callable[[], float] | None = None,
) -> dict[str, list[float]]:
    """Seconds of every case in every round.

    A round runs each case once, every other round backwards, so that whatever else the machine does meets all cases
    alike; its seconds are shown on standard error. The clock is `clock_of(device)` if none is given.
    """
    clock = clock or clock_of(device)[1]
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for round_number in range(-warmup, repeats):
        for name in list(cases) if round_number % 2 else reversed(cases):
            synchronize(device)
            started = clock()
            cases[name]()
            synchronize(device)
            if round_number >= 0:
                seconds[name].append(clock() - started)
        if round_number >= 0:  # a long run that is killed has shown this much
            told = ", ".join(f"{name} {taken[-1]:.4g} s" for name, taken in seconds.items())
            print(f"round {round_number + 1} of {repeats}: {told}", file=sys.stderr, flush=True)
    return seconds


def clock_of(device: str = "cpu") -> tuple[str, Callable[[], float]]:
    """Name and function of a clock: on one CPU thread the processor's time, to which other programs do not add."""
    import torch

    if device == "cpu" and torch.get_num_threads() == 1:
        return "processor time", time.process_time
    return "wall time", time.perf_counter


def synchronize(device: str) -> None:
    """Waits for the GPU, whose work would else be counted to what comes after it."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize(device)


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a module's function in a process of its own, whose peak memory is then that call's alone."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def peak_mib(device: str = "cpu") -> float:
    """Largest memory of this process so far: of the GPU where there is one, else resident.

    What `getrusage` says of a new process begins with what its parent held when it was started; Linux counts the
    process' own in a file.
    """
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 2**10  # kB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if platform.system() == "Darwin" else 2**10)


def peak_allocated_mib(function: Callable[[], Any], device: str = "cpu") -> float:
    """Largest memory that PyTorch's allocator holds during a call, beyond what it held before."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        function()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        function()
    # the averages leave out when memory is given back, and take seconds to be made
    recorded = profile.kineto_results.events()
    changes = sorted((event for event in recorded if event.name() == "[memory]"), key=lambda event: event.start_ns())
    held = peak = 0
    for change in changes:
        held += change.nbytes()
        peak = max(peak, held)
    return peak / 2**20


def hardware(device: str = "cpu") -> dict[str, Any]:
    """The machine and the libraries of a measurement, and how busy the machine was."""
    from importlib.metadata import version

    import torch

    on_gpu = device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(device)
        if on_gpu
        else f"{platform.machine()} CPU, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "clock": clock_of(device)[0],
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers")},
    }


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", type=_device, default="cpu", help="device: cpu (default), cuda, cuda:1 or mps")


def _device(text: str) -> str:
    """A device that PyTorch has on this machine."""
    if text != "cpu":
        import torch

        try:
            torch.empty(1, device=text)
        except (AssertionError, RuntimeError, NotImplementedError):
            at_hand = ", ".join(["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))])
            raise argparse.ArgumentTypeError(
                f"'{text}' is not a device of this machine, which has {at_hand}"
            ) from None
    return text


def add_output_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="OUT", help="JSON file for all measurements")


def report(result: dict[str, Any], columns: dict[str, str], rows: list[dict[str, Any]], path: Path | None) -> None:
    """Prints the rows as a Markdown table under the machine's description, and writes all of the result as JSON."""
    print(machine_line(result["hardware"]) + "\n")
    print(table(columns, rows))
    if path is not None:
        write(path, json.dumps(result, indent=2, default=str))


def machine_line(hardware: dict[str, Any]) -> str:
    """What `hardware` gives, on one line."""
    return "; ".join(f"{name} {value}" for name, value in hardware.items())


def table(columns: dict[str, str], rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown, under the titles of the columns; what a row lacks is empty."""
    lines = [f"| {' | '.join(columns.values())} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(str(row.get(name, '')) for name in columns)} |" for row in rows]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Writes a file whole or not at all, so that an abort leaves the one before."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)
