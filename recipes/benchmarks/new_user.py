"""A new user's path, timed: from recordings and a CSV file to a prediction by name from a hub, in five commands.

    python recipes/benchmarks/new_user.py --out new_user

The recordings are those of a small generated corpus, the hub is the loopback hub of the tests, which speaks the Hub's
API over HTTP; all commands are processes of their own, as in a shell.
"""

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "hub"))
NAME = "writer/our-calls"


@dataclass
class Step:
    """One command: as it is typed, what it printed, and how long it took."""

    command: str
    output: str
    seconds: float


def write_recordings(folder: Path, utterances: int, seed: int = 0) -> dict[str, str]:
    """A folder with recordings and `calls.csv`, with no trace of how it was made; the row of the last recording."""
    from hf_mer.data import load_iemocap
    from hf_mer.data.generated.generate import GeneratedCorpusConfig, generate_corpus

    corpus = folder.with_name("made")
    config = GeneratedCorpusConfig(num_utterances=utterances, seed=seed)
    generate_corpus(corpus, config, num_proc=2, progress=False)
    rows = load_iemocap(corpus)
    (folder / "wav").mkdir(parents=True)
    names = rows.features["label"].names
    written = []
    for number, row in enumerate(rows):
        file = folder / "wav" / f"{number:04d}.wav"
        file.write_bytes(Path(row["audio"]["path"]).read_bytes())
        written.append({"file": f"wav/{file.name}", "transcript": row["text"], "emotion": names[row["label"]],
                        "speaker": row["speaker"], "dialogue": row["dialogue"], "turn": row["turn"]})  # fmt: skip
    with (folder / "calls.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(written[0]))
        writer.writeheader()
        writer.writerows(written)
    return written[-1]


def five_commands(row: dict[str, str], flags: list[str]) -> list[list[str]]:
    """What the user types, in the folder with `calls.csv`."""
    return [
        ["hf-mer", "prepare", "manifest", "calls.csv", "prepared"],
        ["hf-mer", "train", "le_mer", "calls.csv", "--from-scratch", "--out", "runs/calls", *flags],
        ["hf-mer", "plot", "runs/calls/group1", "--out", "figures"],
        ["hf-mer", "push", "runs/calls/group1", NAME, "--title", "LE-MER on our calls"],
        ["hf-mer", "predict", NAME, row["file"], "--text", row["transcript"]],
    ]


def run(out: Path, utterances: int = 600, flags: list[str] | None = None) -> list[Step]:
    """Runs the five commands in `out` against a hub of their own.

    Raises:
        RuntimeError: If a command fails, with what it printed.
    """
    from loopback_hub import LoopbackHub

    folder = out.resolve() / "calls"
    row = write_recordings(folder, utterances)
    steps = []
    with LoopbackHub().running() as hub:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment.update(hub.environment(), HF_HOME=str(out.resolve() / "home"), PYTHONPATH=str(ROOT))
        for command in five_commands(row, flags or []):
            started = time.perf_counter()
            done = subprocess.run([sys.executable, "-m", "hf_mer.cli", *command[1:]], cwd=folder, env=environment,
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True)  # fmt: skip
            if done.returncode != 0:
                raise RuntimeError(f"{shlex.join(command)}: status {done.returncode}\n{done.stderr[-3000:]}")
            steps.append(Step(shlex.join(command), done.stdout, time.perf_counter() - started))
            print(f"$ {steps[-1].command}\n{done.stdout.rstrip()}\n({steps[-1].seconds:.0f} s)\n", flush=True)
    return steps


def main() -> None:
    """Runs it and writes the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("new_user"), help="folder for all files; must not exist")
    parser.add_argument("--utterances", type=int, default=600)
    arguments, flags = parser.parse_known_args()
    steps = run(arguments.out, arguments.utterances, flags)
    content = [{"command": step.command, "seconds": round(step.seconds, 1), "output": step.output} for step in steps]
    (arguments.out / "new_user.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(f"{sum(step.seconds for step in steps):.0f} s together")


if __name__ == "__main__":
    main()
