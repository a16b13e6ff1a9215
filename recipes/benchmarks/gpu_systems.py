"""What `gpu.py` measures: a model and its encoders alone, on the same batches, with a training step of either."""

import argparse
import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from configurations import (
    LABELS,
    WAVFUSION_SIZES,
    le_mer_config,
    le_mer_whisper_config,
    mgcma_config,
    wavfusion_config,
)
from step_time import make_batch, training_step
from torch import Tensor, nn
from transformers import AutoModel

from hf_mer.models import (
    LeMerForEmotionClassification,
    MgcmaForEmotionClassification,
    WavFusionForEmotionClassification,
)
from hf_mer.models.encoder_building_mer import make_encoder

LOG_MEL_HZ, LOG_MEL_BINS = 100, 80  # of Whisper
VIDEO_FRAMES = 8  # of a clip
VOCABULARY = 30522  # of BERT, and so of every text here

MODELS: dict[str, Callable[[str], nn.Module]] = {  # by the size of their encoders
    "LE-MER": lambda size: LeMerForEmotionClassification(le_mer_config(size)),
    "MGCMA": lambda size: MgcmaForEmotionClassification(mgcma_config(size)),
    "WavFusion": lambda size: WavFusionForEmotionClassification(wavfusion_config(size, VOCABULARY, LABELS)),
    "LE-MER with Whisper": lambda size: LeMerForEmotionClassification(le_mer_whisper_config(size)),
}


@dataclass(frozen=True)
class Shape:
    """Of a batch.

    Attributes:
        batch: Utterances.
        seconds: Of the longest.
        tokens: Of the longest.
        shortest: Share of the longest that the shortest has; the others lie evenly between.
    """

    batch: int
    seconds: float
    tokens: int
    shortest: float = 1.0

    def __str__(self) -> str:
        lowest = "" if self.shortest == 1 else f"{self.shortest * self.seconds:g} to "
        return f"{self.batch} x {lowest}{self.seconds:g} s"


class Subject:
    """A model, its encoders as the library has them, and an optimizer for what either trains.

    Args:
        name: One of `MODELS`.
        settings: With `size` and `device`.
    """

    def __init__(self, name: str, settings: argparse.Namespace):
        torch.manual_seed(0)
        self.name, self.size, self.device = name, settings.size, settings.device
        self.model: Any = MODELS[name](settings.size).to(settings.device).train()
        config = self.model.config
        self.is_frozen = set(config.freeze) == {f"{modality}_encoder" for modality in config.modalities}
        self.encoders: dict[str, Any] = {
            modality: library_encoder(modality, config).to(settings.device).train(not self.is_frozen)
            for modality in config.modalities
        }
        self.optimizers = {"model": optimizer_of([self.model])}
        if not self.is_frozen:
            self.optimizers["encoders"] = optimizer_of(self.encoders.values())

    def batch(self, shape: Shape) -> dict[str, Tensor]:
        """Inputs of the model: noise."""
        numbers = {"batch": shape.batch, "seconds": shape.seconds, "tokens": shape.tokens, "device": self.device}
        batch = make_batch(argparse.Namespace(**numbers), shape.shortest)
        if "Whisper" in self.name:
            samples = batch.pop("input_values").shape[1]
            real = batch["audio_attention_mask"].sum(dim=1) * LOG_MEL_HZ // 16000  # (B,)
            frames = samples * LOG_MEL_HZ // 16000
            batch["audio_attention_mask"] = (torch.arange(frames, device=self.device) < real[:, None]).long()
            batch["input_features"] = torch.randn(shape.batch, LOG_MEL_BINS, frames, device=self.device)
        if "video" in self.model.config.modalities:
            side = WAVFUSION_SIZES[self.size][-1]
            batch["pixel_values"] = torch.randn(shape.batch, VIDEO_FRAMES, 3, side, side, device=self.device)
            batch["video_attention_mask"] = torch.ones(shape.batch, VIDEO_FRAMES, dtype=torch.long, device=self.device)
        return batch

    def cached(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The same batch with the states of the frozen encoders in the place of what they read."""
        known = {"labels": batch["labels"]}
        masks = {"text": "attention_mask", "speech": "audio_attention_mask", "video": "video_attention_mask"}
        for modality in self.model.config.modalities:
            with torch.autocast(torch.device(self.device).type, torch.bfloat16):
                states, mask = self.model.precompute(modality, **batch)
            known.update({f"{modality}_features": states.float(), masks[modality]: mask.long()})
        return known

    def model_step(self, inputs: dict[str, Tensor], model: Any = None) -> Callable[[], None]:
        """Forward, backward and AdamW of the model, or of what was made of it."""
        called = self.model if model is None else model
        return training_step(lambda: called(**inputs).loss, [self.optimizers["model"]], self.device, bf16=True)

    def encoders_step(self, batch: dict[str, Tensor]) -> Callable[[], None]:
        """The same of the encoders alone, the mean of their states as loss; of frozen ones the forward pass."""
        inputs = {modality: self._inputs_of(modality, batch) for modality in self.encoders}

        def states() -> list[Tensor]:
            return [self.encoders[name](**inputs[name]).last_hidden_state.float().mean() for name in self.encoders]

        def forward() -> None:
            with torch.no_grad(), torch.autocast(torch.device(self.device).type, torch.bfloat16):
                states()

        if self.is_frozen:
            return forward
        return training_step(lambda: torch.stack(states()).sum(), [self.optimizers["encoders"]], self.device, True)

    def _inputs_of(self, modality: str, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        if modality == "text":
            return {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
        if modality == "video":
            return {"pixel_values": batch["pixel_values"].flatten(0, 1)}
        audio = next(name for name in ("input_values", "input_features") if name in batch)
        return {audio: batch[audio], "attention_mask": batch["audio_attention_mask"]}

    def held_mib(self, side: str, inputs: dict[str, Tensor]) -> float:
        """MiB between two steps: weights, buffers and AdamW's moments of `model` or `encoders`, and the batch."""
        modules = [self.model] if side == "model" else list(self.encoders.values())
        tensors = [one for module in modules for one in (*module.parameters(), *module.buffers())]
        if side in self.optimizers:
            states = self.optimizers[side].state.values()
            tensors += [one for state in states for one in state.values() if isinstance(one, Tensor)]
        return sum(one.numel() * one.element_size() for one in (*tensors, *inputs.values())) / 2**20


def library_encoder(modality: str, config: Any) -> nn.Module:
    """An encoder as transformers has it; Whisper's is this package's, at a clip's own length."""
    own = copy.deepcopy(config.encoder_config(modality))
    if own.model_type == "whisper":
        return make_encoder(modality, own)
    return AutoModel.from_config(own, **({"add_pooling_layer": False} if modality == "text" else {}))


def optimizer_of(modules: Iterable[nn.Module]) -> torch.optim.Optimizer:
    """AdamW over everything that is trained."""
    trained = [one for module in modules for one in module.parameters() if one.requires_grad]
    return torch.optim.AdamW(trained, lr=1e-6, fused=True)
