"""The encoders of a model: how they are built, loaded and run, so that padding never matters."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from .encoder_building_mer import make_encoder
from .encoder_configuration_mer import check_speech_encoder
from .encoder_states_mer import StatesMixin
from .layer_mixture_mer import add_mixtures
from .mer_masks import never_empty, warn_of_bfloat16
from .mer_outputs import LayerRecord
from .mer_padding import MaskedAudio, guard_padding
from .whisper_mer import STRIDE, is_whisper, whisper_encoder_of


class SpeechFrames(NamedTuple):
    """Lengths of a batch of audio, before and after the speech encoder.

    Attributes:
        inputs: The encoder's mask, 1 for what it works on, as much as one frame needs in every row. Shape `(B, N)` or
            `(B, S)`.
        input_lengths: Its sums. Shape `(B,)`.
        encoded: True for the frames that the encoder works on, one at least in every row. Shape `(B, S)`.
        real: The same without those of rows that have no speech. Shape `(B, S)`.
    """

    inputs: Tensor
    input_lengths: Tensor
    encoded: Tensor
    real: Tensor


class EncodersMixin(StatesMixin):
    """Text, speech and video encoders of a `MerPreTrainedModel`, each None where the model has no such branch."""

    training: bool

    def build_encoders(self, config: Any) -> None:
        """Makes the encoders of `config.modalities` with random weights; the others are None."""
        add_mixtures(self, config)
        self.text_encoder: Any = None
        self.speech_encoder: Any = None
        self.video_encoder: Any = None
        if "text" in config.modalities:
            self.text_encoder = make_encoder(
                "text", config.text_config, add_pooling_layer=False
            )  # which nothing would use
        if "speech" in config.modalities:
            self.speech_encoder = self.build_speech_encoder(config.speech_config)
            self.guard_padding()
        if "video" in config.modalities:
            self.video_encoder = make_encoder("video", config.video_config)

    def build_speech_encoder(self, config: PreTrainedConfig) -> PreTrainedModel:
        """Makes the speech encoder with random weights.

        Raises:
            ValueError: If the configuration is not of a supported speech encoder, or has an adapter, whose frames have
                no mask.
        """
        check_speech_encoder(config)
        return make_encoder("speech", config)

    def load_encoders(
        self,
        text_encoder: nn.Module | None = None,
        speech_encoder: nn.Module | None = None,
        video_encoder: nn.Module | None = None,
    ) -> None:
        """Copies the weights of pretrained encoders into this model's; a pooling layer that it lacks is left out.

        Raises:
            ValueError: If a weight that this model needs is not there.
        """
        pairs = (
            (self.text_encoder, text_encoder),
            (self.speech_encoder, speech_encoder),
            (self.video_encoder, video_encoder),
        )
        for mine, given in pairs:
            if given is not None:
                given = whisper_encoder_of(given)
                missing = mine.load_state_dict(given.state_dict(), strict=False).missing_keys
                if missing:
                    raise ValueError(
                        f"{type(given).__name__} lacks weights that {type(mine).__name__} needs: {missing[:5]}"
                    )

    def guard_padding(self) -> None:
        """Makes the speech encoder blind to padding: its norms and convolutions see real frames only."""
        guard_padding(self.speech_encoder)

    def encode_text(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None,
        record: LayerRecord | None = None,
        apart: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Runs the text encoder.

        Args:
            input_ids: Shape `(B, T)`.
            attention_mask: 1 for real tokens; a row of zeros is an utterance without text. Shape `(B, T)`.
            token_type_ids: 0 history, 1 current utterance; handed on to encoders that know token types. Shape `(B,
                T)`.
            record: Takes the layers' states and attention, as far as it asks for them.
            apart: Whether layers that are mixed are given side by side.

        Returns:
            hidden: `H_t`, last hidden state or mixture of all. Shape `(B, T, D_t)`, apart `(B, T, K, D_t)`.
            mask: True for real tokens. Shape `(B, T)`.
        """
        mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
        inputs = {"input_ids": input_ids, "attention_mask": never_empty(mask).long()}
        if token_type_ids is not None and getattr(self.config.text_config, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = token_type_ids
        return self._states("text", self._recorded("text", record, **inputs), apart), mask

    def encode_speech(
        self,
        audio: Tensor,
        audio_attention_mask: Tensor | None,
        record: LayerRecord | None = None,
        apart: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Runs the speech encoder.

        Args:
            audio: `input_values (B, N)` (samples) or `input_features (B, S, F)` (log-mel frames), as the encoder
                wants.
            audio_attention_mask: 1 for real samples or frames; a row of zeros is an utterance without speech. Shape
                `(B, N)` or `(B, S)`.
            record: Takes the layers' states and attention, as far as it asks for them.
            apart: Whether layers that are mixed are given side by side.

        Returns:
            hidden: `H_s`, last hidden state or mixture of all. Shape `(B, S, D_s)`, apart `(B, S, K, D_s)`.
            mask: True for real frames. Shape `(B, S)`.
        """
        frames = self.speech_frames(audio, audio_attention_mask)
        guard = self._spec_augment_guard(frames.encoded)
        output = self.run_speech_encoder(audio, frames, record=record, **guard)
        return self._states("speech", output, apart), frames.real

    def encode_video(
        self, pixel_values: Tensor, video_attention_mask: Tensor | None, record: LayerRecord | None = None
    ) -> tuple[Tensor, Tensor]:
        """Runs the encoder of video frames over the real frames, each by itself.

        Args:
            pixel_values: Shape `(B, F, 3, H, W)`.
            video_attention_mask: 1 for real frames; a row of zeros is an utterance without video. Shape `(B, F)`.
            record: Takes the layers' states and attention, as far as it asks for them.

        Returns:
            pooled: The encoder's pooled features, 0 at padding. Shape `(B, F, D_v)`.
            mask: True for real frames. Shape `(B, F)`.
        """
        size, frames = pixel_values.shape[:2]
        mask = (
            torch.ones(size, frames, dtype=torch.bool, device=pixel_values.device)
            if video_attention_mask is None
            else video_attention_mask.bool()
        )
        if torch.compiler.is_compiling() and not self.video_encoder.training:
            # no graph knows how many frames are real: padding is encoded too, which only statistics of training notice
            states = self._pool_frames(pixel_values.flatten(0, 1), record).unflatten(0, (size, frames))
            return states * mask.unsqueeze(-1), mask
        chosen = mask if mask.any() else never_empty(mask)  # the encoder needs at least one frame
        pooled = self._pool_frames(pixel_values[chosen], record)  # (N, D_v), N real frames
        states = pooled.new_zeros(size, frames, pooled.shape[-1])  # (B, F, D_v)
        states[chosen] = pooled
        return states * mask.unsqueeze(-1), mask

    def _recorded(self, modality: str, record: LayerRecord | None, *args: Any, **kwargs: Any) -> Any:
        """Runs an encoder, whatever its own configuration returns; the record takes what it asks for."""
        encoder = getattr(self, f"{modality}_encoder")
        wanted = {} if record is None else record.arguments(encoder)
        if self.mixture(modality) is not None:
            wanted["output_hidden_states"] = True
        output = encoder(*args, **kwargs, **wanted, return_dict=True)
        if record is not None:
            record.keep(modality, output)
        return output

    def _pool_frames(self, pixels: Tensor, record: LayerRecord | None) -> Tensor:
        """Pooled features of pictures. `(N, 3, H, W)` to `(N, D_v)`."""
        output = self._recorded("video", record, pixel_values=pixels)
        pooled = getattr(output, "pooler_output", None)
        if pooled is None:  # an encoder without pooling: the mean over its positions
            states = output.last_hidden_state
            pooled = states.flatten(2).mean(dim=2) if states.dim() == 4 else states.mean(dim=1)
        return pooled.flatten(1)  # some leave axes of one pixel

    def audio_of(self, inputs: Mapping[str, Any]) -> Tensor | None:
        """Samples `(B, N)` or log-mel frames `(B, S, F)` of the inputs of `forward`, None where they have no audio.

        Whisper's frames come channel first, `(B, F, S)`, and are turned here; everything else counts places along the
        second axis.
        """
        audio, features = inputs.get("input_values"), inputs.get("input_features")
        if audio is not None or features is None:
            return audio
        return features.transpose(1, 2) if is_whisper(self.config.speech_config) else features

    def frames_of(self, audio: Tensor) -> Tensor:
        """Log-mel frames `(B, S, F)` under the encoder's frames: of Whisper's, which see several, the middle one."""
        return audio[:, ::STRIDE] if is_whisper(self.config.speech_config) else audio

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
        frames = self.speech_frames(input_values, audio_attention_mask)
        features = encoder.feature_extractor(MaskedAudio(input_values, frames.input_lengths)).transpose(1, 2)
        return encoder.feature_projection.layer_norm(features), frames.real

    def speech_frames(self, audio: Tensor, audio_attention_mask: Tensor | None) -> "SpeechFrames":
        """What of a batch of audio the speech encoder works on, and which of its frames are real.

        Args:
            audio: Shape `(B, N)` or `(B, S, F)`.
            audio_attention_mask: 1 for real samples or frames, all if not given. Shape `(B, N)` or `(B, S)`.
        """
        if audio_attention_mask is None:
            audio_attention_mask = torch.ones(audio.shape[:2], dtype=torch.long, device=audio.device)
        encoder = self.speech_encoder
        present = audio_attention_mask.bool().any(dim=1)  # (B,)
        if audio.dim() == 3:
            lengths = input_lengths = audio_attention_mask.long().sum(dim=1).clamp(min=1)
            num_frames = audio.shape[1]
            if is_whisper(encoder.config):
                lengths, num_frames = (
                    encoder._get_feat_extract_output_lengths(size) for size in (lengths, num_frames)
                )
        else:
            input_lengths = audio_attention_mask.long().sum(dim=1).clamp(min=receptive_field(encoder.config))
            lengths = encoder._get_feat_extract_output_lengths(input_lengths)
            num_frames = frames_after(encoder.config, audio.shape[1])
        encoded = torch.arange(num_frames, device=audio.device) < lengths[:, None]  # (B, S)
        inputs = (torch.arange(audio.shape[1], device=audio.device) < input_lengths[:, None]).long()
        return SpeechFrames(inputs, input_lengths, encoded, encoded & present[:, None])

    def run_speech_encoder(
        self, audio: Tensor, frames: "SpeechFrames", record: LayerRecord | None = None, **kwargs: Any
    ) -> Any:
        """The encoder's own outputs for a batch, blind to padding.

        Args:
            audio: Shape `(B, N)` or `(B, S, F)`.
            frames: Of `speech_frames`.
            record: Takes the layers' states and attention, as far as it asks for them.
            **kwargs: Of the encoder.
        """
        if audio.device.type == "cpu" and not torch.compiler.is_compiling():
            warn_of_bfloat16(self.speech_encoder, audio.dtype)
        given = MaskedAudio(audio, frames.input_lengths) if audio.dim() == 2 else audio
        if is_whisper(self.speech_encoder.config):
            given = audio.transpose(1, 2)  # (B, F, S)
        return self._recorded("speech", record, given, attention_mask=frames.inputs, **kwargs)

    def _spec_augment_guard(self, frames: Tensor) -> dict[str, Tensor]:
        """The encoders' own SpecAugment cannot mask a batch shorter than one mask: such a batch goes without."""
        config = self.speech_encoder.config
        if is_whisper(config):
            return {}  # it looks at the batch itself
        masks = getattr(config, "apply_spec_augment", True) and getattr(config, "mask_time_prob", 0) > 0
        if self.speech_encoder.training and masks and frames.shape[1] < config.mask_time_length:
            return {"mask_time_indices": torch.zeros_like(frames)}
        return {}


def receptive_field(config: PreTrainedConfig) -> int:
    """Samples under one frame of a speech encoder's convolutions; 1 for an encoder that takes frames."""
    field = 1
    for kernel, stride in reversed(
        list(zip(getattr(config, "conv_kernel", ()), getattr(config, "conv_stride", ()), strict=True))
    ):
        field = (field - 1) * stride + kernel
    return field


def frames_after(config: PreTrainedConfig, num_samples: int) -> int:
    """Frames that a speech encoder's convolutions make of so many samples."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        num_samples = (num_samples - kernel) // stride + 1
    return num_samples
