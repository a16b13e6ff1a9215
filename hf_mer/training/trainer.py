"""`Trainer` with a learning rate per part and every part of the loss in the log."""

from collections import defaultdict
from typing import Any

import torch
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader, Sampler, SequentialSampler
from transformers import Trainer
from transformers.trainer_pt_utils import LengthGroupedSampler

from hf_mer.data.collator import MerDataCollator


class MerTrainer(Trainer):
    """Trains any model of the package.

    Args:
        train_collator: Collator of training batches (augmentation, modality dropout); `data_collator` serves
            evaluation.
        **kwargs: Of `transformers.Trainer`; `args` are `MerTrainingArguments`.
    """

    def __init__(self, *args: Any, train_collator: MerDataCollator | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.train_collator = train_collator
        self._loss_parts: dict[str, list[torch.Tensor]] = defaultdict(list)

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
        if self.args.train_sampling_strategy != "group_by_length":
            return super()._get_train_sampler(train_dataset)
        lengths = list(rows[self.args.length_column_name])  # the library would read one length at a time from disk
        return LengthGroupedSampler(
            self.args.train_batch_size * self.args.gradient_accumulation_steps, lengths=lengths
        )

    def _get_eval_sampler(self, eval_dataset: Dataset) -> Sampler:
        """In order, so that predictions belong to their rows; the rows are sorted by length beforehand."""
        return SequentialSampler(eval_dataset)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """One parameter group per rate of `args.learning_rates`, and one for the rest.

        Raises:
            ValueError: If a name matches no trainable parameter.
        """
        if self.optimizer is None:
            optimizer_class, kwargs = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = optimizer_class(self.parameter_groups(model or self.model), **kwargs)
        return self.optimizer

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Groups trainable parameters by the longest matching prefix of `args.learning_rates`, and by weight decay."""
        decayed = set(self.get_decay_parameter_names(model))
        groups: dict[tuple[str, bool], list[nn.Parameter]] = defaultdict(list)
        trainable = [
            (name.removeprefix("module."), parameter)
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        ]
        matched = set()
        for name, parameter in trainable:
            prefix = max((key for key in self.args.learning_rates if name.startswith(key)), key=len, default="")
            matched.add(prefix)
            groups[prefix, name in decayed].append(parameter)
        frozen = {name.split(".")[0] for name, parameter in model.named_parameters() if not parameter.requires_grad}
        for prefix in self.args.learning_rates:
            absent = getattr(model, prefix, 0) is None  # a branch that this model does not have
            if prefix not in matched and not absent and prefix.split(".")[0] not in frozen:
                parts = sorted({name.split(".")[0] for name, _ in trainable})
                raise ValueError(
                    f"learning_rates: '{prefix}' is the beginning of no parameter; the model has {', '.join(parts)}"
                )
        return [
            {
                "params": parameters,
                "lr": self.args.learning_rates.get(prefix, self.args.learning_rate),
                "weight_decay": self.args.weight_decay if decay else 0.0,
            }
            for (prefix, decay), parameters in groups.items()
        ]

    def compute_loss(
        self, model: nn.Module, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The model's loss; its parts are kept for the next log."""
        outputs = model(**inputs)
        if model.training:
            for name, value in (outputs.losses or {}).items():
                self._loss_parts[name].append(value.detach())
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the mean of every part of the loss since the last log, over all processes, as `loss_<name>`."""
        if "loss" in logs and self._loss_parts:
            for name, values in self._loss_parts.items():
                mean = torch.stack(values).float().mean().to(self.args.device)
                logs[f"loss_{name}"] = round(self.accelerator.gather(mean.reshape(1)).mean().item(), 6)
            self._loss_parts.clear()
        super().log(logs, start_time)
