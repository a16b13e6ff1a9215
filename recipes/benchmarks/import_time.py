"""Seconds that an import takes in a fresh process.

    python recipes/benchmarks/import_time.py --repeats 7

`import hf_mer` brings in neither torch nor transformers; `import hf_mer.models` is compared with what it cannot do
without, torch and the names of transformers that its base classes are.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import measuring
from measuring import Ratio

STATEMENTS = {
    "import torch": "import torch",
    "import transformers": "import transformers",
    "torch and transformers' base classes": (
        "import torch; from transformers import AutoModel, AutoProcessor, PreTrainedModel, Pipeline, ProcessorMixin"
    ),
    "import hf_mer": "import hf_mer",
    "import hf_mer.models": "import hf_mer.models",
}
BASELINES = {"import hf_mer": "import torch", "import hf_mer.models": "torch and transformers' base classes"}
TIMED = "import time; started = time.{clock}(); {statement}; print(time.{clock}() - started)"
ROOT = Path(__file__).resolve().parents[2]


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="processes per import statement")
    parser.add_argument("--statements", nargs="+", choices=STATEMENTS, default=list(STATEMENTS), metavar="STATEMENT")
    parser.add_argument(
        "--warmup",
        type=int,
        default=1,
        help="processes per import statement that are not counted: they fill the disk cache",
    )
    measuring.add_output_argument(parser)
    return parser.parse_args(argv)


def seconds_of(statement: str) -> float:
    """Seconds that a new interpreter takes to run a statement; its own start is not counted."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    code = TIMED.format(clock="perf_counter", statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    seconds: dict[str, list[float]] = {name: [] for name in settings.statements}
    for round_number in range(-settings.warmup, settings.repeats):
        for name in settings.statements:
            value = seconds_of(STATEMENTS[name])
            if round_number >= 0:
                seconds[name].append(value)
    rows, ratios = [], {}
    for name in settings.statements:
        spread = f"{statistics.median(seconds[name]):.3f} ({min(seconds[name]):.3f}-{max(seconds[name]):.3f})"
        row = {"name": name, "seconds": spread}
        baseline = BASELINES.get(name)
        if baseline in seconds:
            ratio = Ratio.of(seconds[name], seconds[baseline])
            ratios[name] = ratio.value
            row["ratio"] = f"{ratio.value:.3f} of {baseline}"
        rows.append(row)
    result = {
        "settings": vars(settings),
        "hardware": measuring.hardware(),
        "seconds": seconds,
        "rows": rows,
        "ratios": ratios,
    }
    measuring.report(result, {"name": "statement", "seconds": "s", "ratio": "ratio"}, rows, settings.json)
    return result


if __name__ == "__main__":
    main()
