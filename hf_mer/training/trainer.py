"""`Trainer` with a learning rate per part and every part of the loss in the log."""

import logging
import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader, Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed

from hf_mer.data.collator import MerDataCollator
from hf_mer.data.schema import column
from hf_mer.models.finite_mer import check_logits
from hf_mer.training.balancing import BalancedSampler, EpochLengthSampler, balanced_class_weights
from hf_mer.training.schedule import warn_of_long_warmup

logger = logging.getLogger(__name__)


class _ExactResume(TrainerCallback):
    """What a checkpoint does not hold is empty when it is written, or follows from the seed and the epoch."""

    def __init__(self, trainer: "MerTrainer"):
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Augmentations of this epoch, before any batch is made."""
        if isinstance(self.trainer.train_collator, MerDataCollator):
            self.trainer.train_collator.draw_by(self.trainer.epoch_seed())

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Losses since the last log are in no checkpoint, so that they are logged first."""
        control.should_log = control.should_log or control.should_save

    on_epoch_end = on_step_end


class MerTrainer(Trainer):
    """Trains any model of the package; a training that goes on from a checkpoint ends with the same weights.

    Random numbers of a step come from the seed, its number and the process: of the state of a generator, of batches
    that were made ahead, or of the number of workers nothing depends. Augmentations of a row come from the seed, the
    epoch and its `id`; rows without one take the generator as it is.

    `args.label_smoothing_factor` becomes the model's own `config.label_smoothing`, and what `args.class_weights` asks
    for, counted in the training rows, its `config.class_weights`: they act on every cross-entropy with labels, in
    training and in evaluation, and the other losses stay. At 0 and "none" the model's configuration decides.

    Args:
        train_collator: Collator of training batches (augmentation, modality dropout); `data_collator` serves
            evaluation.
        **kwargs: Of `transformers.Trainer`; `args` are `MerTrainingArguments`.

    Raises:
        ValueError: If there is a `compute_loss_func`: the losses are the model's own.
    """

    data_collator: Any
    optimizer: Any

    def __init__(self, *args: Any, train_collator: MerDataCollator | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.compute_loss_func is not None:
            raise ValueError("compute_loss_func: MerTrainer trains the model's own losses; use transformers.Trainer")
        self.label_smoother = None  # it would take the place of all losses
        self._set_label_options(self.model)
        self.train_collator = train_collator
        self.add_callback(_ExactResume(self))
        self._micro_step = (-1, 0)  # step, and batches of it so far
        self._loss_sums: dict[str, torch.Tensor] = {}
        self._loss_counts: Counter = Counter()

    def call_model_init(self, trial: Any = None) -> nn.Module:
        """A new model of `model_init`, whose labels are smoothed and weighted as the arguments say."""
        model = super().call_model_init(trial)
        self._set_label_options(model)
        return model

    def _set_label_options(self, model: Any) -> None:
        self._smooth_labels(model)
        asked, own = getattr(self.args, "class_weights", "none"), getattr(model.config, "class_weights", None)
        if asked == "balanced" and self.args.do_train and self.train_dataset is not None:
            weights = balanced_class_weights(column(self.train_dataset, "label"), _class_names(model))
            model.config.class_weights = weights
            if self.args.train_sampling_strategy == "balanced":
                logger.warning("class_weights and train_sampling_strategy are both balanced: rare classes count twice")
            logger.info("class_weights=%s", [round(weight, 4) for weight in weights])
        elif own:
            logger.info("class_weights=%s, as the model's configuration says", own)

    def _smooth_labels(self, model: Any) -> None:
        factor, own = self.args.label_smoothing_factor, getattr(model.config, "label_smoothing", None)
        if factor and own is None:
            raise ValueError(f"label_smoothing_factor={factor}: {type(model).__name__} has no labels to smooth")
        if factor:
            model.config.label_smoothing = factor
        elif own:
            logger.info("label_smoothing=%s, as the model's configuration says", own)

    def get_train_dataloader(self) -> DataLoader:
        """The training batches, made by `train_collator`."""
        collator = self.data_collator
        self.data_collator = self.train_collator or collator
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = collator

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler | None:
        rows = self.train_dataset if train_dataset is None else train_dataset
        strategy: str = self.args.train_sampling_strategy
        if strategy not in ("group_by_length", "balanced"):
            return super()._get_train_sampler(train_dataset)
        lengths = column(rows, self.args.length_column_name)  # the library would read one length at a time from disk
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        if strategy == "balanced":
            return BalancedSampler(size, lengths, column(rows, "label"), _class_names(self.model), self.epoch_seed)
        return EpochLengthSampler(size, lengths, self.epoch_seed)

    def epoch_seed(self) -> int:
        """Another one every epoch, the same on every process and after going on from a checkpoint."""
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        return seed + int(self.state.epoch or 0)

    def _get_eval_sampler(self, eval_dataset: Dataset) -> Sampler:
        """In order, so that predictions belong to their rows; the rows are sorted by length beforehand."""
        return SequentialSampler(eval_dataset)

    def logits(self, rows: Dataset, collator: MerDataCollator, purpose: str) -> np.ndarray:
        """What the model says of rows, in their order, on all processes.

        Args:
            rows: Of evaluation.
            collator: In the place of the trainer's own.
            purpose: Before the names of metrics, `test` for one.

        Returns:
            Float64. Shape `(N, C)`.

        Raises:
            ValueError: If one is NaN or infinite.
        """
        own, self.data_collator = self.data_collator, collator
        try:
            predictions = self.predict(rows, metric_key_prefix=purpose).predictions
        finally:
            self.data_collator = own
        logits = predictions[0] if isinstance(predictions, tuple) else predictions
        check_logits(self.model, torch.as_tensor(logits))
        return np.asarray(logits, dtype=np.float64)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """One parameter group per rate of `args.learning_rates`, and one for the rest.

        Raises:
            ValueError: If a name is the beginning of no parameter.
        """
        if self.optimizer is None:
            optimizer_class, kwargs = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = optimizer_class(self.parameter_groups(model or self.model), **kwargs)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """The library's schedule; a warm-up that is too long for the training is said."""
        warn_of_long_warmup(self.args, num_training_steps)
        return super().create_scheduler(num_training_steps, optimizer)

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Groups trainable parameters by the longest matching prefix of `args.learning_rates`, and by weight decay.

        LoRA's adapters have the prefix `lora`, whichever encoder they are in: its rate is one for pretrained weights,
        by which adapters, which begin at nothing, would learn next to nothing.
        """
        decayed = set(self.get_decay_parameter_names(model))
        groups: dict[tuple[str, bool], list[nn.Parameter]] = defaultdict(list)
        parameters_by_name = {name.removeprefix("module."): one for name, one in model.named_parameters()}
        parts_of = {name: f"lora.{name}" if ".lora_" in name else name for name in parameters_by_name}
        names = parts_of.values()
        for prefix in self.args.learning_rates:
            if not _is_left_out(model, prefix) and not any(name.startswith(prefix) for name in names):
                parts = sorted({name.split(".")[0] for name in names})
                raise ValueError(
                    f"learning_rates: '{prefix}' is the beginning of no parameter; the model has {', '.join(parts)}"
                )
        for name, parameter in parameters_by_name.items():
            if parameter.requires_grad:
                matching = (key for key in self.args.learning_rates if parts_of[name].startswith(key))
                groups[max(matching, key=len, default=""), name in decayed].append(parameter)
        return [
            {
                "params": parameters,
                "lr": self.args.learning_rates.get(prefix, self.args.learning_rate),
                "weight_decay": self.args.weight_decay if decay else 0.0,
            }
            # the new layers first: the rate that is logged is the first group's
            for (prefix, decay), parameters in sorted(groups.items(), key=lambda item: item[0])
        ]

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """The library's; none where a callback stopped the training at its begin, which the library would not see."""
        if not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)

    def training_step(self, model: nn.Module, inputs: dict, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The library's, with random numbers that depend on nothing but the seed, the step and the process."""
        step, batches = self._micro_step
        self._micro_step = (self.state.global_step, batches + 1 if step == self.state.global_step else 0)
        parts = (self.args.seed, *self._micro_step, self.args.process_index)
        set_seed(int(np.random.SeedSequence(parts).generate_state(1)[0]))
        return super().training_step(model, inputs, *args, **kwargs)

    def compute_loss(
        self, model: nn.Module, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The model's loss; its parts are kept for the next log."""
        outputs = model(**inputs, return_dict=True)
        if outputs.loss is None:
            raise ValueError(f"the batch has no labels, so that there is no loss; it has {', '.join(sorted(inputs))}")
        if model.training:
            for name, value in (outputs.losses or {}).items():
                total = value.detach().float().mean()
                self._loss_sums[name] = self._loss_sums[name] + total if name in self._loss_sums else total
                self._loss_counts[name] += 1
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the mean of every part of the loss since the last log, over all processes, as `loss_<name>`.

        Raises:
            ValueError: If one is no number: nothing that is trained on could be used.
        """
        if "loss" in logs:
            # objects, not tensors: a process whose batches all lacked a modality has fewer parts than the others
            mine = {name: (total.item(), self._loss_counts[name]) for name, total in self._loss_sums.items()}
            gathered = gather_object([mine])
            for name in sorted({name for parts in gathered for name in parts}):
                sums, counts = zip(*(parts[name] for parts in gathered if name in parts), strict=True)
                logs[f"loss_{name}"] = round(sum(sums) / sum(counts), 6)
            self._loss_sums.clear()
            self._loss_counts.clear()
        if "train_loss" in logs:  # the library's is of the steps of this call alone
            logs["train_loss"] = self._mean_loss()
        for name, value in logs.items():
            if name.startswith("loss") and not math.isfinite(value):
                raise ValueError(
                    f"step {self.state.global_step}: {name} is {value}, and the weights are useless now; try lower "
                    "learning rates, or another precision"
                )
        super().log(logs, start_time)

    def _mean_loss(self) -> float:
        """Of all steps, whichever call they were made in: the log tells, as a checkpoint comes after one."""
        total, last = self._tr_loss.item(), 0  # since the last log
        for entry in self.state.log_history:
            if "loss" in entry:
                total += entry["loss"] * (entry["step"] - last)
                last = entry["step"]
        return total / max(self.state.global_step, 1)


def _class_names(model: nn.Module) -> list[str]:
    """Names of a model's classes in their order, whatever distributed training wraps around it."""
    config: Any = getattr(model, "module", model).config
    return [config.id2label[index] for index in range(config.num_labels)]


def _is_left_out(model: nn.Module, prefix: str) -> bool:
    """Whether a prefix begins with a part that this model does without: a branch that is None, or has no layers."""
    part = getattr(getattr(model, "module", model), prefix.partition(".")[0], 0)
    return part is None or (isinstance(part, nn.Module) and not any(True for _ in part.parameters()))


def own_process_state(args: TrainingArguments) -> None:
    """Sets up the process as these arguments say.

    Device and mixed precision are kept once per process by Accelerate, and belong to the arguments that were made
    last: a fold whose own are others would be refused, or run on the wrong device. Arguments set all of it up anew
    when they first look for their device.
    """
    args.__dict__.pop("_setup_devices", None)
    _ = args.device
