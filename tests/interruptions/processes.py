"""Commands as processes that can be killed: forked from this one, which has everything imported, or real command lines."""

import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LONGEST = 600.0  # seconds that a command may take
_PRELOADED = (
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf", "onnxruntime", "onnxscript",
    "transformers.models.bert.modeling_bert", "transformers.models.wav2vec2_bert.modeling_wav2vec2_bert", "hf_mer.cli",
    "hf_mer.export.onnx_export", "hf_mer.evaluation.condition_figures", "hf_mer.training.run",
    "hf_mer.reproduction.reproduce",
)  # fmt: skip


@dataclass(frozen=True)
class Kill:
    """When and how a command is killed.

    Attributes:
        share: Of an undisturbed run's duration that passes first; or, with `when`, of a twentieth of it after that.
        when: Pattern of a file; the clock starts when it appears.
        number: `SIGKILL` or `SIGTERM`.
    """

    share: float
    when: str | None = None
    number: signal.Signals = signal.SIGKILL

    @staticmethod
    def draw(rng: random.Random, patterns: Sequence[str]) -> "Kill":
        """A moment out of the whole duration, or in a third of all cases near to the appearance of a file."""
        when = rng.choice(patterns) if patterns and rng.random() < 1 / 3 else None
        return Kill(rng.random(), when, signal.SIGTERM if rng.random() < 1 / 5 else signal.SIGKILL)


def preload() -> None:
    """Imports what commands need, once for all that are forked."""
    for name in _PRELOADED:
        importlib.import_module(name)


class Command:
    """A command in a process group of its own, with the datasets cache in its folder.

    Args:
        arguments: `hf-mer`'s, or with `reproduce` before them those of that recipe.
        folder: Where it runs.
        real: A new Python rather than a fork of this one.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, real: bool = False):
        self.arguments, self.folder, self.started = list(arguments), folder, time.monotonic()
        self.log = folder.with_suffix(".log")
        self.status: int | None = None
        if real:
            name = "recipes/reproduce.py" if arguments[0] == "reproduce" else "hf_mer/cli/__main__.py"
            rest = self.arguments[1:] if arguments[0] == "reproduce" else self.arguments
            environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_DATASETS_CACHE": str(folder / "cache")}
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, str(ROOT / name), *rest], cwd=folder, env=environment, stdout=log, stderr=log,
                    start_new_session=True,
                ).pid  # fmt: skip
        else:
            sys.stdout.flush()
            self.process = os.fork() or self._run()

    def _run(self) -> int:
        """What the fork does; it never comes back."""
        status = 1
        try:
            os.setsid()
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(self.folder)
            import datasets

            datasets.config.HF_DATASETS_CACHE = str(self.folder / "cache")
            status = _call(self.arguments)
        except SystemExit as error:
            print(error.code, file=sys.stderr)
            status = error.code if isinstance(error.code, int) else int(error.code is not None)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        if self.status is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if process else None
        return self.status

    def wait(self) -> int:
        """The exit status; whoever takes too long is killed."""
        while self.poll() is None:
            if time.monotonic() - self.started > LONGEST:
                self.send(signal.SIGKILL)
            time.sleep(0.01)
        assert self.status is not None
        return self.status

    def send(self, number: signal.Signals) -> None:
        """A signal to the whole group."""
        while os.getpgid(self.process) != self.process:  # a fork that has not come to its own yet
            time.sleep(0.001)
        os.killpg(self.process, number)

    def kill(self, kill: Kill, duration: float) -> bool:
        """Lets it run up to a moment and kills it; False if it was done before."""
        start, delay = self.started, kill.share * duration
        if kill.when is not None:
            while not any(self.folder.glob(kill.when)) and self.poll() is None:
                time.sleep(0.001)
            start, delay = time.monotonic(), kill.share * duration / 20
        while self.poll() is None and time.monotonic() - start < delay:
            time.sleep(min(0.002, delay))
        if self.poll() is not None:
            return False
        self.send(kill.number)
        return self.wait() != 0

    def last_words(self) -> str:
        """The last line of what it said."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing said"


def _call(arguments: Sequence[str]) -> int:
    if arguments[0] == "reproduce":
        from hf_mer.reproduction.reproduce import run_reproduction

        sys.argv = ["reproduce.py", *arguments[1:]]
        run_reproduction(arguments[1:])
        return 0
    from hf_mer.cli import main

    sys.argv = ["hf-mer", *arguments]
    return main(list(arguments)) or 0
