"""Works on the runs of a plan, each under its lock, and reports after every one."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accelerate.utils import broadcast_object_list
from datasets import Dataset
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from tqdm.auto import tqdm

from hf_mer.data.protocols.folds import Fold, find_fold
from hf_mer.reproduction.reporting import report_tables
from hf_mer.reproduction.run_plan import Job, Plan
from hf_mer.stopping import lacks_space
from hf_mer.training.pretraining.fold import pretrain_fold

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LOOKS = 5.0  # at a run that another process has
MINUTES_OF_READING = 0.02  # a run that took less was finished before, and only read


class Reproduction:
    """Makes every run of a plan.

    Runs lie in `output_dir/runs`, one folder for each system, seed and fold, whichever tables ask for it; label stores
    in `output_dir/shared`, second stages in `output_dir/pretrained`, results in `output_dir/<table>/<set-up>`. Several
    processes or machines may work in one folder: a run is worked on under its lock, what is locked is left to the
    other and looked at again at the end.

    Args:
        plan: The runs.
        figures: Whether to draw the tables' figures at the end.
        command: What is written as the command of the results.
    """

    def __init__(self, plan: Plan, *, figures: bool = True, command: str = ""):
        self.plan, self.figures, self.command = plan, figures, command
        self.training = plan.training

    def run(self, jobs: Sequence[Job]) -> list[Job]:
        """Works on runs and reports.

        Args:
            jobs: Of the plan.

        Returns:
            Runs that failed; the reason is in the log and they are tried again by the next call.
        """
        waiting, failed, minutes = list(jobs), [], []
        with tqdm(total=len(jobs), desc="runs", unit="run", disable=self.training.disable_tqdm) as bar:
            while waiting:
                left = []
                for job in waiting:
                    started = time.perf_counter()
                    try:
                        done = self._work(job)
                    except (ValueError, OSError, RuntimeError, SafetensorError) as error:
                        if self.training.world_size > 1 or lacks_space(error):
                            raise  # the others would wait for ever; the next run would fail as well
                        logger.error("%s failed: %s", ", ".join(job.labels), error, exc_info=True)
                        failed.append(job)
                        done = {}
                    if done is None:
                        left.append(job)
                        continue
                    minutes.append((time.perf_counter() - started) / 60)
                    bar.update()
                    self._tell(job, done, minutes, len(jobs))
                if left and len(left) == len(waiting):
                    time.sleep(SECONDS_BETWEEN_LOOKS)
                waiting = left
        if self._is_main:
            self._report(final=True)
        return failed

    def _work(self, job: Job) -> dict[str, Any] | None:
        """Runs a job, or reads what it left; None if another process is at it."""
        with self._lock(f"{job.key}-seed{job.seed}-{job.fold}", blocking=False) as mine:
            if not mine:
                return None
            rows = self.plan.rows(job.system, job.seed)
            fold = find_fold(self.plan.folds(job.system, job.seed), job.fold)
            experiment = self.plan.experiment(job.system, job.seed)
            if job.system.pretraining is not None:
                self._second_stage(job, rows, fold)
            return experiment.run_fold(rows, fold)

    def _second_stage(self, job: Job, rows: Dataset, fold: Fold) -> None:
        """The fold's speech encoder, shared by all rows that start from it; whoever comes second waits."""
        arguments = job.system.arguments(self.plan.output_dir, job.seed)
        folder = job.system.pretrained_folder(self.plan.output_dir, job.seed) / job.fold
        with self._lock(f"{job.system.pretraining_key}-seed{job.seed}-{job.fold}", blocking=True):
            pretrain_fold(
                arguments.model.speech_encoder,
                arguments.model.speech_overrides,
                arguments.model.feature_extractor,
                arguments.data,
                arguments.pretraining,
                rows,
                fold,
                folder,
            )

    @contextmanager
    def _lock(self, name: str, blocking: bool) -> Iterator[bool]:
        """A lock that the first process of this run holds for all of them."""
        lock = FileLock(self.plan.output_dir / "locks" / f"{name}.lock", blocking=blocking)
        mine = [True]
        if self._is_main:
            lock_folder = Path(lock.lock_file).parent
            lock_folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except Timeout:
                mine = [False]
        if self.training.world_size > 1:
            broadcast_object_list(mine)
        try:
            yield mine[0]
        finally:
            lock.release()

    @property
    def _is_main(self) -> bool:
        return self.training.process_index == 0

    def _tell(self, job: Job, results: dict[str, Any], minutes: list[float], total: int) -> None:
        """One line for a run, with the time that the rest may take, and new reports."""
        if not self._is_main:
            return
        label = ", ".join(job.labels) or f"{job.key}/{job.seed}/{job.fold}"
        scores = results.get("test", {}).get("scores", {})
        numbers = "  ".join(f"{name.upper()} {value:.3f}" for name, value in scores.items()) or "failed"
        worked = [value for value in minutes if value > MINUTES_OF_READING] or minutes  # finished ones are only read
        remaining = (total - len(minutes)) * sum(worked) / len(worked)
        logger.info("%s: %s (%.1f min; at most %.0f min left)", label, numbers, minutes[-1], max(remaining, 0))
        if minutes[-1] > MINUTES_OF_READING:
            self._report()

    def _report(self, final: bool = False) -> None:
        """Writes what is known of every table; at the end with its figures."""
        report_tables(self.plan, self.command, final=final, figures=self.figures)
