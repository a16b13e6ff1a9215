"""Kills commands at random moments, starts them again, and compares with a run that nothing stopped.

    python tests/interruptions/run.py --kills 30                             # everything: hours on two cores
    python tests/interruptions/run.py --only training-epochs --kills 5

Every kill has a folder and a datasets cache of its own. A third falls near the appearance of a file (a checkpoint's
`optimizer.pt`, `predictions.csv`, a figure), one in five is a SIGTERM, one in five commands is killed twice; the first of
every kind is a real command line, the others are forks of this process, which has everything imported. In the end all files
must be there and no others, and the same to the last bit, apart from how long something took.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}

from comparing import differences  # noqa: E402
from kinds import KINDS, Kind, prepare_shared  # noqa: E402
from processes import Command, Kill, preload  # noqa: E402


@dataclass
class Outcome:
    """What became of a kind's kills."""

    commands: int = 0
    kills: int = 0
    equal: int = 0
    differed: Counter = field(default_factory=Counter)


def finish(arguments: list[str], folder: Path, real: bool = False) -> str | None:
    """Runs a command to its end; gives what it said if it failed."""
    command = Command(arguments, folder, real)
    status = command.wait()
    return None if status == 0 else f"fails: {command.last_words()}"


def make_folder(folder: Path, kind: Kind, shared: Path) -> Path:
    """A folder for a command, with what it finds there."""
    folder.mkdir(parents=True)
    if kind.before is not None and (failure := finish(kind.before(shared), folder)):
        raise RuntimeError(failure)
    return folder


def undisturbed(kind: Kind, folder: Path, shared: Path) -> tuple[float, list[str]]:
    """The reference and its duration; and what differs when the command is run elsewhere, or again, or as a new process."""
    duration = float("inf")
    for name in ("reference", "elsewhere"):
        make_folder(folder / name, kind, shared)
        started = time.monotonic()
        if failure := finish(kind.arguments(shared), folder / name):
            raise RuntimeError(failure)
        duration = min(duration, time.monotonic() - started)
    found = differences(folder / "reference", folder / "elsewhere")
    if failure := finish(kind.arguments(shared), folder / "elsewhere", real=True):
        found.append(f"the second time: {failure}")
    found += [f"the second time: {item}" for item in differences(folder / "reference", folder / "elsewhere")]
    shutil.rmtree(folder / "elsewhere")
    return duration, list(dict.fromkeys(found))


def interrupted(kind: Kind, folder: Path, shared: Path, duration: float, rng: random.Random, real: bool) -> int:
    """Runs a command, killed once or twice, to its end; gives how often it was killed."""
    arguments, kills = kind.arguments(shared), 0
    for _ in range(2 if rng.random() < 1 / 5 else 1):
        commands = [Command(arguments, folder, real) for _ in range(kind.together)]
        kills += commands[0].kill(Kill.draw(rng, kind.moments), duration * (3 if real else 1))
        for other in commands[1:]:
            other.wait()
    return kills


def try_kind(name: str, folder: Path, shared: Path, attempts: int, seed: int) -> Outcome:
    """All kills of a kind."""
    kind, outcome, rng = KINDS[name], Outcome(), random.Random(f"{seed} {name}")
    duration, found = undisturbed(kind, folder, shared)
    outcome.differed.update(f"without a kill: {item}" for item in found)
    print(f"{name}: {duration:.1f} s undisturbed", *found, sep="\n  ", file=sys.stderr, flush=True)
    while outcome.commands < attempts:
        place = make_folder(folder / f"{outcome.commands + 1}", kind, shared)
        kills = interrupted(kind, place, shared, duration, rng, real=outcome.commands == 0)
        failure = finish(kind.arguments(shared), place)
        found = [failure] if failure else differences(folder / "reference", place)
        if kills:
            outcome.commands, outcome.kills = outcome.commands + 1, outcome.kills + kills
            outcome.equal += not found
        outcome.differed.update(found)
        print(f"{name} {outcome.commands}: {'; '.join(found) or 'equal'}", file=sys.stderr, flush=True)
        if not found:
            shutil.rmtree(place)
        elif not kills:
            place.rename(folder / f"not-killed-{time.monotonic_ns()}")
    return outcome


def table(outcomes: dict[str, Outcome]) -> str:
    """A line for each kind, in Markdown."""
    lines = ["| command | what | interrupted | kills | equal | what differed |", "|---|---|---|---|---|---|"]
    for name, one in outcomes.items():
        differed = "; ".join(f"{item} ({count})" for item, count in one.differed.most_common(4)) or "nothing"
        lines.append(f"| {name} | {KINDS[name].about} | {one.commands} | {one.kills} | {one.equal} | {differed} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS), help="kinds of commands")
    parser.add_argument("--kills", type=int, default=30, help="commands of each kind that are interrupted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; what differed stays there (default: a new one)")
    arguments = parser.parse_args()
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="interruptions-"))).absolute()
    preload()
    prepare_shared(folder / "shared")
    outcomes = {}
    for name in arguments.only:
        outcomes[name] = try_kind(name, folder / name, folder / "shared", arguments.kills, arguments.seed)
        print(table(outcomes), file=sys.stderr, flush=True)
    print(table(outcomes))
    failed = any(one.differed for one in outcomes.values())
    print(f"what differed is in {folder}" if failed else "", file=sys.stderr)
    if not failed and arguments.folder is None:
        shutil.rmtree(folder)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
