"""MGCMA: multi-granularity cross-modal alignment (Wang et al., ICASSP 2025, arXiv 2412.20821)."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .configuration_mgcma import MgcmaConfig
from .mer_layers import masked_mean
from .mer_losses import joint_means, masked_cross_entropy, weighted_total
from .mer_outputs import MerOutput
from .mer_targets import check_targets
from .mgcma_layers import ALIGNMENTS, DistributionAlignment
from .modeling_mer import MerPreTrainedModel


class MgcmaForEmotionClassification(MerPreTrainedModel):
    """Emotion of an utterance from its words and its voice, aligned as distributions, tokens and instances.

    The alignment modules are a chain over the pair of representations; each may add a loss. See `MgcmaConfig` for the
    paper's systems.

    Where an utterance lacks a modality, cross-attention to it adds nothing, its half of the classifier's input is 0,
    and it takes no part in the contrastive losses. One batch may mix complete and incomplete utterances.

    Args:
        config: The configuration.
    """

    config_class = MgcmaConfig
    takes_features = True

    def __init__(self, config: MgcmaConfig):
        super().__init__(config)
        self.build_encoders(config)
        for name in config.modalities:
            width = config.encoder_config(name).hidden_size
            same = width == config.hidden_size
            setattr(self, f"{name}_projection", nn.Identity() if same else nn.Linear(width, config.hidden_size))
        order = config.alignment_order if config.is_multimodal else []
        self.alignment = nn.ModuleDict({name: ALIGNMENTS[name](config) for name in order})
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(len(config.modalities) * config.hidden_size, config.num_labels)
        self.post_init()
        self.apply_freezing()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, std=self.config.initializer_range)
            if module.bias is not None:
                init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, DistributionAlignment):
            init.constant_(module.log_scale, float(torch.tensor(self.config.wasserstein_scale).log()))
            init.constant_(module.bias, self.config.wasserstein_bias)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        input_values: Tensor | None = None,
        input_features: Tensor | None = None,
        audio_attention_mask: Tensor | None = None,
        text_features: Tensor | None = None,
        speech_features: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | int | list[int] | None = None,
        return_dict: bool | None = None,
    ) -> MerOutput | tuple:
        """Classifies a batch of utterances.

        Args:
            input_ids: Tokens of history and current utterance. Shape `(B, T)`.
            attention_mask: 1 for real tokens, a row of 0 for an utterance without text. Shape `(B, T)`. Without text,
                a feature extractor's mask of the audio's shape, which then is `audio_attention_mask`.
            token_type_ids: 0 history, 1 current utterance. Shape `(B, T)`.
            input_values: Samples, for encoders on the waveform. Shape `(B, N)`.
            input_features: Log-mel frames, for encoders on those. Shape `(B, S, F)`, for Whisper `(B, F, S)`.
            audio_attention_mask: 1 for real samples or frames, a row of 0 for an utterance without speech. Shape `(B,
                N)` or `(B, S)`.
            text_features: States of a frozen text encoder in the place of `input_ids`. Shape `(B, T, D_t)`.
            speech_features: States of a frozen speech encoder in the place of audio; `audio_attention_mask` is then
                one of frames. Shape `(B, S, D_s)`.
            labels: Class indices `(B,)` or shares of the classes `(B, C)`, see `check_targets`; -100 leaves an
                utterance out of the cross-entropy. The alignment losses compare utterances, whatever their classes.
            output_attentions: Also return masks, and what the encoders' layers attend to; the configuration's if not
                given.
            output_hidden_states: Also return the states between the encoders' layers, or of those by number; the
                configuration's if not given.
            return_dict: `False` for a tuple; the configuration's if not given.

        Raises:
            ValueError: If no branch of the model gets an input, or labels are not valid.
        """
        record = self.layer_record(output_attentions, output_hidden_states)
        # 1. Encoders (section II-A)
        states, masks = self._pair(
            self.encode_inputs(
                record,
                input_ids=input_ids,
                attention_mask=attention_mask,
                token_type_ids=token_type_ids,
                input_values=input_values,
                input_features=input_features,
                audio_attention_mask=audio_attention_mask,
                text_features=text_features,
                speech_features=speech_features,
            )
        )  # (B, L, D), (B, L) each

        # 2. The chain of alignment modules (sections II-B to II-D)
        losses: dict[str, Tensor] = {}
        for name, module in self.alignment.items():
            states, alignment_loss = module(states, masks, labels is not None)
            if alignment_loss is not None:
                losses[name] = alignment_loss

        # 3. Classification
        pooled = {name: masked_mean(states[name], masks[name]) for name in states}  # (B, D), 0 where missing
        embeddings = torch.cat(list(pooled.values()), dim=-1)  # (B, 2D)
        logits = self.classifier(self.dropout(embeddings))  # (B, C)

        # 4. Losses (equation 12)
        loss = None
        if labels is not None:
            targets = check_targets(labels, len(logits), self.config.num_labels)
            classification = masked_cross_entropy(logits, targets, label_smoothing=self.config.label_smoothing)
            losses = {**joint_means({"classification": classification}, ["classification"], self.training), **losses}
            loss = weighted_total(losses, self.config.loss_weights)
        output = MerOutput(
            loss=loss,
            logits=logits,
            losses=losses or None,
            embeddings=embeddings,
            modality_embeddings=pooled,
            text_mask=masks.get("text") if record.attentions else None,
            speech_mask=masks.get("speech") if record.attentions else None,
            **record.fields(self.config.modalities),
        )
        return self.as_asked(output, return_dict)

    def _pair(self, encoded: dict[str, tuple[Tensor, Tensor]]) -> tuple[dict[str, Any], dict[str, Any]]:
        """States of one width and masks, in the order of the modalities.

        A modality that nobody in the batch has is one masked position of zeros: every process of a distributed run
        then takes the same steps.
        """
        some_states, some_mask = next(iter(encoded.values()))
        states, masks = {}, {}
        for name in self.config.modalities:
            if name in encoded:
                hidden, masks[name] = encoded[name]
                states[name] = getattr(self, f"{name}_projection")(hidden)
            else:
                states[name] = some_states.new_zeros(len(some_states), 1, self.config.hidden_size)
                masks[name] = some_mask.new_zeros(len(some_mask), 1)
        return states, masks
