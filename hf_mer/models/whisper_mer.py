"""Whisper's encoder at a clip's own length: without padding to 30 s, and blind to the padding of a batch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import WhisperModel
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .mer_padding import checkpointable

STRIDE = 2  # log-mel frames from one encoder frame to the next
_ENCODER_KEYS = {
    r"^(model\.)?encoder\.": ""
}  # of a WhisperModel, and of the models with heads around it or its encoder
_OTHER_KEYS = [r"^(model\.)?decoder\.", r"^(proj_out|projector|classifier|layer_weights)"]


class NativeWhisperEncoder(WhisperEncoder):
    """The encoder of Whisper on as many frames as a clip has, with transformers' layers and parameter names.

    transformers' own takes 3000 log-mel frames and nothing else: a clip of 3.6 s costs what 30 s cost, and silence
    takes part in its attention. Here both convolutions see zeros at padding, attention sees real frames, and frame t
    has position t as in 30 s. The weights were trained with silence up to 30 s behind every clip; states without it
    differ somewhat from states with it.

    Source: Radford et al., 2023, section 2.2.
    """

    _no_split_modules = ["WhisperEncoderLayer"]  # noqa: RUF012 - as transformers reads it
    _keys_to_ignore_on_load_unexpected = _OTHER_KEYS

    @merge_with_config_defaults
    @capture_outputs
    def forward(  # type: ignore[override]
        self, input_features: Tensor, attention_mask: Tensor | None = None, **kwargs: Any
    ) -> BaseModelOutput:
        """Encodes a batch of clips.

        Args:
            input_features: Log-mel frames, 10 ms each, as `WhisperFeatureExtractor` makes them. Shape `(B, M, T)`.
            attention_mask: 1 for real frames, the first ones of every row, one at least; all if not given. Shape `(B,
                T)`.
            **kwargs: Of the layers' attention.

        Returns:
            `last_hidden_state (B, ceil(T / 2), D)`, after the final norm.

        Raises:
            ValueError: If there are more frames than positions.
        """
        batch, _, num_frames = input_features.shape
        check_frames(self.config, num_frames)
        if attention_mask is None:
            attention_mask = torch.ones(batch, num_frames, dtype=torch.long, device=input_features.device)
        padding = ~attention_mask.bool().unsqueeze(1)  # (B, 1, T)
        features = self._spec_augment(input_features.masked_fill(padding, 0.0), attention_mask)
        states = functional.gelu(self.conv1(features)).masked_fill(padding, 0.0)  # (B, D, T)
        states = functional.gelu(self.conv2(states)).transpose(1, 2)  # (B, S, D)
        places = torch.arange(states.shape[1], device=states.device)
        states = states + self.embed_positions(places)
        states = functional.dropout(states, p=self.dropout, training=self.training)
        lengths = self._get_feat_extract_output_lengths(attention_mask.sum(dim=1))  # (B,)
        seen = create_bidirectional_mask(
            config=self.config, inputs_embeds=states, attention_mask=places < lengths[:, None]
        )
        for layer in self.layers:
            if self.training and self.layerdrop > 0 and torch.rand([]) < self.layerdrop:
                continue
            states = layer(checkpointable(states, layer), seen, **kwargs)
        return BaseModelOutput(last_hidden_state=self.layer_norm(states))

    def _spec_augment(self, features: Tensor, mask: Tensor) -> Tensor:
        """SpecAugment in training, as far as the configuration asks for it; a batch shorter than one mask has none."""
        config = self.config
        shortest = config.mask_time_length if config.mask_time_prob > 0 else 0
        if not (self.training and config.apply_spec_augment) or features.shape[-1] < shortest:
            return features
        return WhisperModel._mask_input_features(self, features, mask)  # type: ignore[arg-type]


def is_whisper(config: Any) -> bool:
    """Whether a speech encoder takes log-mel frames channel first, `(B, M, T)`."""
    return getattr(config, "model_type", None) == "whisper"


def check_frames(config: Any, num_frames: int) -> None:
    """Refuses more log-mel frames than the encoder has positions for.

    Raises:
        ValueError: Names both numbers.
    """
    most = STRIDE * config.max_source_positions
    if num_frames > most:
        raise ValueError(
            f"audio of {num_frames} log-mel frames is longer than the {most} that the whisper encoder has positions "
            "for (max_source_positions); cut it (max_audio_seconds), or give it in windows (window_seconds, --window)"
        )


def load_whisper_encoder(name: Any, **kwargs: Any) -> NativeWhisperEncoder:
    """The encoder of any Whisper checkpoint; no weight of a decoder takes memory.

    Args:
        name: Folder, or repository on the Hub.
        **kwargs: Of `from_pretrained`.

    Raises:
        ValueError: If the checkpoint has no weights of an encoder.
    """
    model, info = NativeWhisperEncoder.from_pretrained(
        name, key_mapping=_ENCODER_KEYS, output_loading_info=True, **kwargs
    )
    if missing := sorted(info["missing_keys"]):
        raise ValueError(
            f"checkpoint '{name}' lacks weights of Whisper's encoder ({', '.join(missing[:3])} and so on): take one "
            "that has them, such as openai/whisper-small"
        )
    return model


def whisper_encoder_of(model: nn.Module) -> nn.Module:
    """The encoder in a loaded Whisper model of any kind; another model is given back as it is."""
    return next((module for module in model.modules() if isinstance(module, WhisperEncoder)), model)
