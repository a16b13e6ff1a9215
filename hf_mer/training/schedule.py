"""The warm-up of the learning rate: where it ends, whether it pays, and patience that counts from there."""

import logging
from typing import Any

from transformers import TrainerCallback, TrainingArguments

logger = logging.getLogger(__name__)

WITHOUT_WARMUP = ("constant", "reduce_lr_on_plateau", "greedy")
LARGEST_SHARE = 1 / 3  # of all steps


def warmup_end(args: TrainingArguments, num_steps: int) -> int:
    """The last step of the warm-up, of so many of the whole training; 0 for a schedule that has none."""
    scheduler = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    return 0 if scheduler in WITHOUT_WARMUP else args.get_warmup_steps(num_steps)


def warn_of_long_warmup(args: TrainingArguments, num_steps: int) -> None:
    """Says it where the warm-up takes more than a third of the training, or does not end in it."""
    end = warmup_end(args, num_steps)
    if end - 1 < LARGEST_SHARE * num_steps:  # shares are rounded up
        return
    given, total = f"warmup_steps={args.warmup_steps:g}", f"{num_steps} steps of {args.num_train_epochs:g} epochs"
    if args.max_steps > 0:
        total = f"{num_steps} steps of max_steps"
    told = (
        f"the warm-up ends at step {end} of the {total}"
        if end <= num_steps
        else f"the warm-up of {end} steps is longer than the {total}: learning rates stay below "
        f"{num_steps / end:.0%} of their values"
    )
    logger.warning("%s: %s; train longer, or give a number below 1, which is a share of all steps", given, told)


class PatienceAfterWarmup(TrainerCallback):
    """Stops a training whose validation score has not risen for some evaluations after the warm-up.

    Until the warm-up ends scores may stay where they are because the rates are still small. What is counted stands in
    the log of the trainer's state, so that a training that goes on from a checkpoint has lost none of it.

    Args:
        patience: Evaluations without a better score.
    """

    def __init__(self, patience: int):
        self.patience = patience

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Nothing is trained after a checkpoint of the end, whose process was killed before it could say so."""
        self._stop(args, state, control)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
        """Counts the evaluations since the best score, or since the warm-up's end if that is later."""
        if state.best_metric is not None and metrics[f"eval_{args.metric_for_best_model}"] <= state.best_metric:
            self._stop(args, state, control)

    def _stop(self, args: Any, state: Any, control: Any) -> None:
        name = f"eval_{args.metric_for_best_model}"
        begin = max(state.best_global_step or 0, warmup_end(args, state.max_steps))
        waited = [entry for entry in state.log_history if name in entry and entry["step"] > begin]
        control.should_training_stop = control.should_training_stop or len(waited) >= self.patience
