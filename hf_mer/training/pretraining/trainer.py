"""Training of the self-supervised objectives: every step is normalised by the masked frames of all processes."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor

from hf_mer.data.collator import MerDataCollator
from hf_mer.models.mer_distributed import gather_across_ranks
from hf_mer.training.pretraining.masks import MaskSampler
from hf_mer.training.pretraining.models import ContrastivePretrainer, SpeechPretrainer
from hf_mer.training.pretraining.units import Units
from hf_mer.training.trainer import MerTrainer

EVALUATION = 0  # draw of the masks in evaluation: always the same, so that its losses can be compared


class SpeechCollator(MerDataCollator):
    """Audio of a batch, and the number of each row."""

    def __init__(self, processor: Any):
        super().__init__(processor, ["speech"])

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Makes `input_values` or `input_features`, `audio_attention_mask` and `row (B,)`."""
        batch = super().__call__(rows)
        batch.pop("labels", None)
        return {**batch, "row": torch.tensor([row["row"] for row in rows])}


class PretrainingTrainer(MerTrainer):
    """Trains a `SpeechPretrainer`.

    The loss of a step is that of the joined batches of all processes and accumulated steps: sums over utterances are
    gathered with their gradients, and divided by the number of masked frames of them all.

    Args:
        masks: Draws what is masked.
        units: Units of every row, for masked prediction.
        **kwargs: Of `transformers.Trainer`; `args` are `PretrainingArguments`.
    """

    control: Any

    def __init__(self, *args: Any, masks: MaskSampler, units: Units | None = None, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.masks, self.units = masks, units
        self._logged: dict[str, Any] = defaultdict(float)

    @property
    def pretrainer(self) -> SpeechPretrainer:
        """The model without what distributed training wraps around it."""
        return self.accelerator.unwrap_model(self.model)

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, Tensor | int | None]:
        """Batches of a step with their masks, and the number of masked frames of all processes."""
        batches, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        batches = [self.masked(batch, draw=1 + self.state.global_step) for batch in batches]
        count = sum((batch["mask_time_indices"].sum() for batch in batches), torch.zeros((), dtype=torch.long))
        return batches, self.accelerator.gather(count.to(device)).sum()

    def masked(self, batch: dict[str, Tensor], draw: int) -> dict[str, Any]:
        """A batch of the collator as inputs of the model."""
        batch = dict(batch)
        rows = batch.pop("row").tolist()
        audio = batch["input_values"] if "input_values" in batch else batch["input_features"]
        frames = self.pretrainer.frames(audio, batch["audio_attention_mask"])
        lengths, longest = frames.sum(dim=1).tolist(), frames.shape[1]
        batch.update(self.masks(rows, lengths, longest, draw))
        if self.units is not None:
            batch["units"] = self.units.batch(rows, lengths, longest)
        return {name: tensor.to(audio.device) for name, tensor in batch.items()}

    def compute_loss(
        self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The step's loss as far as it comes of this batch and its like in the other processes."""
        sums = model(**inputs, **self._temperature())
        names = list(sums)
        totals = [sums[name].sum(dim=0, keepdim=True).float() for name in names]  # (1, ...)
        joined = {name: parts.sum(dim=0) for name, parts in zip(names, gather_across_ranks(*totals), strict=True)}
        losses, weights = self.pretrainer.losses(joined), self.pretrainer.weights
        loss = sum(weights[name] * value for name, value in losses.items())
        frames = joined["frames"].detach()
        self._note(losses, joined, frames)
        loss = loss * frames / torch.as_tensor(num_items_in_batch).clamp(min=1)
        return (loss, sums) if return_outputs else loss

    def _temperature(self) -> dict[str, float]:
        if not isinstance(self.pretrainer, ContrastivePretrainer):
            return {}
        return {"gumbel_temperature": self.args.gumbel_temperature(self.state.global_step)}

    def _note(self, losses: dict[str, Tensor], sums: dict[str, Tensor], frames: Tensor) -> None:
        """Keeps losses and metrics for the next log, each weighed by its masked frames."""
        values = {f"loss_{name}": value for name, value in losses.items()} | self.pretrainer.metrics(sums)
        for name, value in values.items():
            self._logged[name] += value.detach() * frames
        self._logged["frames"] += frames

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Adds the means since the last log, over the joined batches: the same on every process."""
        if "loss" in logs and self._logged:
            frames = max(float(self._logged.pop("frames")), 1.0)
            logs.update({name: round(float(value) / frames, 6) for name, value in self._logged.items()})
            logs.update(self._temperature())
            self._logged.clear()
        super().log(logs, start_time)

    @torch.no_grad()
    def evaluate(
        self,
        eval_dataset: Dataset | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Losses and metrics of the validation part, all its masked frames together; always with the same masks."""
        model = self._wrap_model(self.model, training=False)
        model.eval()
        sums: dict[str, Any] = defaultdict(float)
        for batch in self.get_eval_dataloader(eval_dataset):
            inputs = self.masked(self._prepare_inputs(batch), EVALUATION)
            with self.compute_loss_context_manager():
                found = self.accelerator.gather_for_metrics(model(**inputs))
            for name, values in found.items():
                sums[name] += values.double().sum(dim=0)
        losses = self.pretrainer.losses(sums)
        weights = self.pretrainer.weights
        values = {"loss": sum(weights[name] * value for name, value in losses.items())}
        values |= {f"loss_{name}": value for name, value in losses.items()} | self.pretrainer.metrics(sums)
        metrics = {f"{metric_key_prefix}_{name}": round(float(value), 6) for name, value in values.items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        """As the library, with the encoder's configuration: the model itself is none of the library's."""
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            self.pretrainer.config.save_pretrained(output_dir or self.args.output_dir)
