"""What every model of this package shares: text and speech encoders, masks, freezing, independence of padding."""

import inspect
import os
from typing import Any

import torch
from torch import Tensor, nn
from transformers import MODEL_MAPPING, AutoModel, AutoModelForPreTraining, PreTrainedConfig, PreTrainedModel

from .mer_layers import FrameMask, MaskedBatchNorm1d, MaskedGroupNorm

SPEECH_MODEL_TYPES = ("wav2vec2", "wav2vec2-conformer", "wav2vec2-bert", "hubert", "wavlm", "data2vec-audio")


class MerPreTrainedModel(PreTrainedModel):
    """Base of the package's models: builds encoders and runs them so that padding never matters.

    A subclass sets `self.text_encoder` and `self.speech_encoder` (None where the model has no such branch) with
    `build_text_encoder` and `build_speech_encoder`, and ends its `__init__` with `self.post_init()` and
    `self.apply_freezing()`.
    """

    base_model_prefix = "mer"
    main_input_name = "input_ids"
    input_modalities = ("audio", "text")
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    def build_text_encoder(self, config: PreTrainedConfig) -> PreTrainedModel:
        """Makes the text encoder with random weights, without a pooling layer that nothing would use."""
        kwargs = {"add_pooling_layer": False} if _has_pooling_layer(config) else {}
        return AutoModel.from_config(_supported_attention(config), dtype=torch.get_default_dtype(), **kwargs)

    def build_speech_encoder(self, config: PreTrainedConfig) -> PreTrainedModel:
        """Makes the speech encoder with random weights.

        Raises:
            ValueError: If the configuration is not of a supported speech encoder, or has an adapter, whose frames have
                no mask.
        """
        if config.model_type not in SPEECH_MODEL_TYPES:
            raise ValueError(f"speech encoder '{config.model_type}' is not one of {', '.join(SPEECH_MODEL_TYPES)}")
        if getattr(config, "add_adapter", False):
            raise ValueError(
                f"speech encoder '{config.model_type}': add_adapter=True is not supported; set add_adapter=False"
            )
        return AutoModel.from_config(_supported_attention(config), dtype=torch.get_default_dtype())

    def guard_padding(self) -> None:
        """Makes the speech encoder blind to padding: its norms and convolutions see real frames only."""
        self._frame_mask = FrameMask()
        encoder = self.speech_encoder
        extractor = getattr(encoder, "feature_extractor", None)
        convs: list[nn.Conv1d] = []
        for layer in extractor.conv_layers if extractor is not None else []:
            convs.append(layer.conv)
            if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
                layer.layer_norm = MaskedGroupNorm(layer.layer_norm, self._frame_mask, list(convs))
        for name, module in list(encoder.named_modules()):
            if name.startswith(("feature_extractor.", "adapter.")):
                continue
            if isinstance(module, nn.BatchNorm1d):
                parent = encoder.get_submodule(name.rpartition(".")[0])
                setattr(parent, name.rpartition(".")[2], MaskedBatchNorm1d(module, self._frame_mask))
            elif isinstance(module, nn.Conv1d) and module.kernel_size[0] > 1:
                module.register_forward_pre_hook(self._zero_padded_frames)

    def _zero_padded_frames(self, module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        mask = self._frame_mask.frames
        if mask is None or mask.shape[-1] != args[0].shape[-1]:
            return None
        return (args[0] * mask.unsqueeze(1).to(args[0].dtype),)

    def encode_text(
        self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Runs the text encoder.

        Args:
            input_ids: Shape `(B, T)`.
            attention_mask: 1 for real tokens; a row of zeros is an utterance without text. Shape `(B, T)`.
            token_type_ids: 0 history, 1 current utterance; handed on to encoders that know token types. Shape `(B,
                T)`.

        Returns:
            hidden: `H_t`, last hidden state. Shape `(B, T, D_t)`.
            mask: True for real tokens. Shape `(B, T)`.
        """
        mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        inputs = {"input_ids": input_ids, "attention_mask": _never_empty(mask).long()}
        if token_type_ids is not None and getattr(self.config.text_config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = token_type_ids
        return self.text_encoder(**inputs).last_hidden_state, mask

    def encode_speech(self, audio: Tensor, audio_attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Runs the speech encoder.

        Args:
            audio: `input_values (B, N)` (samples) or `input_features (B, S, F)` (log-mel frames), as the encoder
                wants.
            audio_attention_mask: 1 for real samples or frames; a row of zeros is an utterance without speech. Shape
                `(B, N)` or `(B, S)`.

        Returns:
            hidden: `H_s`, last hidden state. Shape `(B, S, D_s)`.
            mask: True for real frames. Shape `(B, S)`.
        """
        encoder_mask, frames, mask = self._prepare_frames(audio, audio_attention_mask)
        guard = self._spec_augment_guard(frames)
        hidden = self.speech_encoder(audio, attention_mask=encoder_mask, **guard).last_hidden_state
        self._forget_frames()
        return hidden, mask

    def conv_features(self, input_values: Tensor, audio_attention_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """The normalised output of wav2vec 2.0's convolutions, which its quantizer makes discrete.

        Returns:
            features: Shape `(B, S, D_conv)`.
            mask: True for real frames. Shape `(B, S)`.

        Raises:
            ValueError: If the speech encoder has no convolutions on the waveform.
        """
        encoder = self.speech_encoder
        if not hasattr(encoder, "feature_extractor"):
            raise ValueError(f"a {encoder.config.model_type} encoder has no convolutions on the waveform")
        mask = self._prepare_frames(input_values, audio_attention_mask)[2]
        features = encoder.feature_projection.layer_norm(encoder.feature_extractor(input_values).transpose(1, 2))
        self._forget_frames()
        return features, mask

    def _forget_frames(self) -> None:
        """Hides this batch's lengths from an encoder that is called on its own.

        In training they stay: activation checkpointing encodes again in the backward pass.
        """
        if not (self.training and torch.is_grad_enabled()):
            self._frame_mask.samples = self._frame_mask.frames = None

    def _prepare_frames(self, audio: Tensor, audio_attention_mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Tells the guarded layers the lengths; gives the encoder's mask, the frames it works on, and the real ones.

        The encoder's mask leaves at least one frame in every row; the frames of a row without speech are not real.
        """
        if audio_attention_mask is None:
            audio_attention_mask = torch.ones(audio.shape[:2], dtype=torch.long, device=audio.device)
        encoder = self.speech_encoder
        present = audio_attention_mask.bool().any(dim=1)  # (B,)
        if audio.dim() == 3:
            input_lengths = audio_attention_mask.long().sum(dim=1).clamp(min=1)
            lengths, num_frames = input_lengths, audio.shape[1]
        else:
            input_lengths = audio_attention_mask.long().sum(dim=1).clamp(min=receptive_field(encoder.config))
            lengths = encoder._get_feat_extract_output_lengths(input_lengths)
            num_frames = int(encoder._get_feat_extract_output_lengths(audio.shape[1]))
        frames = torch.arange(num_frames, device=audio.device) < lengths[:, None]  # (B, S)
        self._frame_mask.samples, self._frame_mask.frames = input_lengths, frames
        encoder_mask = (torch.arange(audio.shape[1], device=audio.device) < input_lengths[:, None]).long()
        return encoder_mask, frames, frames & present[:, None]

    def _spec_augment_guard(self, frames: Tensor) -> dict[str, Tensor]:
        """The encoders' own SpecAugment cannot mask a batch shorter than one mask: such a batch goes without."""
        config = self.speech_encoder.config
        masks = getattr(config, "apply_spec_augment", True) and getattr(config, "mask_time_prob", 0) > 0
        if self.speech_encoder.training and masks and frames.shape[1] < config.mask_time_length:
            return {"mask_time_indices": torch.zeros_like(frames)}
        return {}

    def frozen_modules(self) -> list[nn.Module]:
        """The modules that `config.freeze` names."""
        modules: list[nn.Module] = []
        for part in self.config.freeze:
            name, _, count = part.partition(":")
            encoder = self.text_encoder if name.startswith("text") else self.speech_encoder
            if name == "label_embeddings":
                continue
            if encoder is None:
                raise ValueError(
                    f"freeze: '{part}' names a branch that the model does not have ({self.config.modalities})"
                )
            if name.endswith("_layers"):
                layers = _layers(encoder)
                if int(count) > len(layers):
                    raise ValueError(
                        f"freeze: '{part}', but the {encoder.config.model_type} encoder has {len(layers)} layers"
                    )
                modules += layers[: int(count)]
            else:
                parts = {"text_embeddings": "embeddings", "speech_feature_encoder": "feature_extractor"}
                module = getattr(encoder, parts[name], None) if name in parts else encoder
                if module is None:
                    raise ValueError(
                        f"freeze: '{part}', but a {encoder.config.model_type} encoder has no {parts[name]}"
                    )
                modules.append(module)
        return modules

    def apply_freezing(self) -> None:
        """Turns off the gradients of the parts that `config.freeze` names; they also stay in evaluation mode."""
        for module in self.frozen_modules():
            module.requires_grad_(False)
            for child in module.modules():
                freeze: Any = getattr(child, "_freeze_parameters", None)
                if freeze is not None:
                    freeze()
        if "label_embeddings" in self.config.freeze:
            for name, parameter in self.named_parameters():
                if name.endswith("label_embeddings"):
                    parameter.requires_grad_(False)
        self.train(self.training)

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Loads a checkpoint; what its configuration freezes is frozen again, which loading weights undoes."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        model.apply_freezing()
        return loaded

    def train(self, mode: bool = True) -> "MerPreTrainedModel":
        """Sets training mode, except for frozen parts."""
        super().train(mode)
        if mode:
            for module in self.frozen_modules():
                module.eval()
        return self

    def save_pretrained(self, save_directory: str | os.PathLike, is_main_process: bool = True, **kwargs: Any) -> None:
        """Saves weights, configuration and the code that loads them, so that the folder needs no installed package.

        The configuration names every Auto class that the checkpoint serves, and the pipeline.
        """
        # so that transformers copies the file with the others whenever it saves or loads the model's code
        from .pipeline_mer import PIPELINE_TASK, MultimodalEmotionRecognitionPipeline

        if self.is_remote_code():
            entry = f"{type(self).__module__.rpartition('.')[2]}.{type(self).__name__}"
            known = getattr(self.config, "auto_map", None) or {}
            self.config.auto_map = {**known, "AutoModel": entry, "AutoModelForAudioClassification": entry}
            pipeline = f"pipeline_mer.{MultimodalEmotionRecognitionPipeline.__name__}"
            self.config.custom_pipelines = {
                PIPELINE_TASK: {"impl": pipeline, "pt": ["AutoModelForAudioClassification"]}
            }
        super().save_pretrained(save_directory, is_main_process=is_main_process, **kwargs)


def receptive_field(config: PreTrainedConfig) -> int:
    """Samples under one frame of a speech encoder's convolutions; 1 for an encoder that takes frames."""
    field = 1
    for kernel, stride in reversed(
        list(zip(getattr(config, "conv_kernel", ()), getattr(config, "conv_stride", ()), strict=True))
    ):
        field = (field - 1) * stride + kernel
    return field


def load_speech_checkpoint(
    name: Any, with_quantizer: bool = False, **kwargs: Any
) -> tuple[PreTrainedModel, PreTrainedModel | None]:
    """Loads a pretrained speech encoder, with the pretraining heads (quantizer and projections) if asked for.

    Returns:
        encoder: The bare encoder.
        pretraining: The `...ForPreTraining` model around it, or None.

    Raises:
        ValueError: If a quantizer is asked for and the checkpoint has none.
    """
    if not with_quantizer:
        return AutoModel.from_pretrained(name, **kwargs), None
    advice = "use discretizer='kmeans' with tonal_space='hidden', or a checkpoint from wav2vec 2.0 pretraining"
    try:
        model, info = AutoModelForPreTraining.from_pretrained(name, output_loading_info=True, **kwargs)
    except ValueError as error:
        raise ValueError(f"checkpoint '{name}' has no quantizer: {str(error).splitlines()[0]}; {advice}") from error
    if not hasattr(model, "quantizer") or any(
        key.startswith(("quantizer", "project_")) for key in info["missing_keys"]
    ):
        raise ValueError(f"checkpoint '{name}' has no quantizer weights; {advice}")
    return model.base_model, model


def _layers(encoder: PreTrainedModel) -> list[nn.Module]:
    """The Transformer or Conformer layers, lowest first, wherever the architecture keeps them."""
    for module in encoder.modules():
        if (
            isinstance(module, nn.ModuleList)
            and len(module) == encoder.config.num_hidden_layers
            and "attention" in _names(module[0])
        ):
            return list(module)
    raise ValueError(f"the layers of a {encoder.config.model_type} encoder cannot be frozen one by one")


def _names(module: nn.Module) -> str:
    return " ".join(name for name, _ in module.named_modules()).replace("attn", "attention")


def _never_empty(mask: Tensor) -> Tensor:
    """Lets a row without any real position keep its first: attention needs one, and the caller ignores the result."""
    first = torch.zeros_like(mask)
    first[:, 0] = True
    return torch.where(mask.any(dim=1, keepdim=True), mask, first)


def _has_pooling_layer(config: PreTrainedConfig) -> bool:
    model_class = MODEL_MAPPING.get(type(config), None)
    return model_class is not None and "add_pooling_layer" in inspect.signature(model_class.__init__).parameters


def _supported_attention(config: PreTrainedConfig) -> PreTrainedConfig:
    """Falls back to eager attention for an encoder that has nothing else (WavLM)."""
    model_class = MODEL_MAPPING.get(type(config), None)
    if (
        model_class is not None
        and not getattr(model_class, "_supports_sdpa", False)
        and config._attn_implementation != "eager"
    ):
        config._attn_implementation = "eager"
    return config
