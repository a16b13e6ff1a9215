"""What a run was made with, and what it took: machine, versions, memory, parameters."""

import contextlib
import platform
import resource
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from hf_mer.version import __version__

PACKAGES = ("torch", "transformers", "datasets", "accelerate")


def environment(num_processes: int) -> dict[str, Any]:
    """What a run was made with."""
    device = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    )
    return {
        "command": " ".join(sys.argv),
        "device": device,
        "processes": num_processes,
        "python": platform.python_version(),
        "versions": {"hf_mer": __version__, **{name: version(name) for name in PACKAGES}},
    }


def reset_peak_memory() -> None:
    """Starts the count of `peak_memory_mib` anew, at what is held now."""
    with contextlib.suppress(OSError):  # not Linux, or a container that forbids it
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory_mib() -> dict[str, float]:
    """Largest memory of this process and of its GPU since `reset_peak_memory`.

    Returns:
        `host`: The largest resident set, what was held at the start included. Where the system does not let a process
            start the count anew (other than Linux, some containers), the largest since the process began.
        `gpu`: The most that PyTorch had allocated on the current device, where there is one.
    """
    peak = {"host": _peak_resident_mib()}
    if torch.cuda.is_available():
        peak["gpu"] = torch.cuda.max_memory_allocated() / 2**20
    return {name: round(value, 1) for name, value in peak.items()}


def _peak_resident_mib() -> float:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 1024)  # bytes there, KiB elsewhere


def parameter_counts(model: torch.nn.Module) -> dict[str, int]:
    """Parameters, all and trained ones."""
    return {
        "all": sum(parameter.numel() for parameter in model.parameters()),
        "trained": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
    }
