"""LE-MER: label information for multimodal emotion recognition (Wang et al., Interspeech 2023, arXiv 2309.02106)."""

import os
from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .configuration_le_mer import LeMerConfig
from .encoder_states_mer import nothing_to_use
from .fitting_mer import check_store
from .label_store import LabelEmbeddingStore
from .layer_mixture_mer import LayerMixture
from .mer_embeddings import LabelEmbeddings
from .mer_layers import BilinearCrossAttention, attend, masked_pool
from .mer_losses import LossSum, attention_constraint_loss, joint_means, masked_cross_entropy, weighted_total
from .mer_masks import masks_of
from .mer_outputs import MerOutput
from .mer_targets import check_targets
from .modeling_mer import MerPreTrainedModel
from .speech_checkpoints_mer import load_speech_checkpoint


class LeMerForEmotionClassification(MerPreTrainedModel):
    """Emotion of an utterance from its words and its voice, guided by embeddings of the labels.

    Both branches compare their states with one trainable embedding per class (label-token and label-frame attention);
    the product of the two comparisons guides the cross-attention that brings speech to every token. See `LeMerConfig`
    for the paper's systems. These comparisons show similarity to the labels' embeddings and do not explain the
    decision, which `explain` does.

    Where an utterance lacks a modality, its logits are those of the remaining branch: the label attention's mean
    (equations 2 and 5), or without label embeddings the classifier on that branch's half. One batch may mix complete
    and incomplete utterances.

    Args:
        config: The configuration.
    """

    config_class = LeMerConfig
    takes_features = True

    def __init__(self, config: LeMerConfig):
        super().__init__(config)
        self.build_encoders(config)
        if config.has_text_labels:
            self.text_label_embeddings = LabelEmbeddings(config.num_labels, config.text_config.hidden_size)
        if config.has_tonal_labels:
            self.tonal_label_embeddings = LabelEmbeddings(config.num_labels, config.tonal_width)
            if config.tonal_space == "contrastive":
                self.speech_projection = nn.Linear(config.speech_config.hidden_size, config.tonal_dim)
        self._build_heads(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.post_init()
        self.apply_freezing()

    def _build_heads(self, config: LeMerConfig) -> None:
        text_dim = config.text_config.hidden_size if self.text_encoder is not None else 0
        speech_dim = config.speech_config.hidden_size if self.speech_encoder is not None else 0
        self.cross_attention: Any = None
        if config.is_multimodal and config.fusion != "score":
            if config.fusion != "guided":
                self.cross_attention = BilinearCrossAttention(text_dim, speech_dim)
            self.classifier = nn.Linear(text_dim + speech_dim, config.num_labels)
        else:
            if text_dim:
                self.text_classifier = nn.Linear(text_dim, config.num_labels)
            if speech_dim:
                self.speech_classifier = nn.Linear(speech_dim, config.num_labels)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        if isinstance(module, LabelEmbeddings):
            init.normal_(module.weight, std=std)
        elif isinstance(module, BilinearCrossAttention):
            init.normal_(module.weight, std=module.weight.numel() ** -0.5)
        elif isinstance(module, LayerMixture):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=std)
            if module.bias is not None:
                init.zeros_(module.bias)

    @classmethod
    def from_encoders(  # type: ignore[override]
        cls,
        text: Any = None,
        speech: Any = None,
        labels: list[str] | None = None,
        label_store: LabelEmbeddingStore | None = None,
        **config_kwargs: Any,
    ) -> "LeMerForEmotionClassification":
        """Builds LE-MER around pretrained encoders: names on the Hub, local folders, or loaded models.

        Args:
            text: The text encoder; leave out for a speech-only model.
            speech: The speech encoder; leave out for a text-only model. `tonal_space="contrastive"` needs a checkpoint
                of wav2vec 2.0's pretraining, by name.
            labels: Class names in the order of the logits; the store's if left out.
            label_store: Initial label embeddings, see `set_label_embeddings`.
            **config_kwargs: Fields of `LeMerConfig`.

        Raises:
            ValueError: If neither encoder is given, or labels and store disagree.
        """
        labels = labels or (label_store.labels if label_store is not None else None)
        pretraining: Any = None
        contrastive = config_kwargs.get("tonal_space") == "contrastive"
        if contrastive and config_kwargs.get("tonal_label_init") != "none" and speech is not None:
            speech, pretraining = load_speech_checkpoint(speech, with_quantizer=True)
            config_kwargs["tonal_dim"] = pretraining.project_hid.out_features
        model = super().from_encoders(text=text, speech=speech, labels=labels, **config_kwargs)
        if pretraining is not None:
            model.speech_projection.load_state_dict(pretraining.project_hid.state_dict())
        if label_store is not None:
            model.set_label_embeddings(label_store)
        return model

    @classmethod
    def from_unimodal(
        cls, text: str | os.PathLike, speech: str | os.PathLike, **kwargs: Any
    ) -> "LeMerForEmotionClassification":
        """Score fusion (Table 2): one model whose logits are the sum of a text-only and a speech-only checkpoint's.

        Label smoothing and class weights are theirs where both have the same; what either freezes is frozen.

        Raises:
            ValueError: If the checkpoints are not unimodal as asked, or their classes or pooling differ.
        """
        parts = {"text": cls.from_pretrained(text, **kwargs), "speech": cls.from_pretrained(speech, **kwargs)}
        for modality, part in parts.items():
            if part.config.modalities != [modality]:
                raise ValueError(
                    f"score fusion needs a {modality}-only checkpoint, but this one has {part.config.modalities}"
                )
        text_config, speech_config = parts["text"].config, parts["speech"].config
        if text_config.id2label != speech_config.id2label:
            raise ValueError(f"classes differ: text {text_config.id2label}, speech {speech_config.id2label}")
        if text_config.pooling != speech_config.pooling:
            raise ValueError(f"pooling differs: text {text_config.pooling}, speech {speech_config.pooling}")
        fused = cls(_score_fusion_config(text_config, speech_config))
        fused.load_state_dict({**parts["text"].state_dict(), **parts["speech"].state_dict()})
        return fused.eval()

    def set_label_embeddings(self, store: LabelEmbeddingStore) -> None:
        """Starts the label embeddings from a fold's store.

        Raises:
            ValueError: If the store's classes or widths do not fit the model.
        """
        check_store(self.config, store)
        for name in ("text", "tonal"):
            given, wanted = getattr(store, f"{name}_embeddings"), getattr(self, f"{name}_label_embeddings", None)
            if wanted is not None and given is not None:
                with torch.no_grad():
                    wanted.weight.copy_(given)

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
            text_features: States of a frozen text encoder in the place of `input_ids`, see `precompute`;
                `token_type_ids` then tell history from them. Shape `(B, T, D_t)`, or `(B, T, K, D_t)` where layers are
                mixed.
            speech_features: States of a frozen speech encoder in the place of audio; `audio_attention_mask` is then
                one of frames. Shape `(B, S, D_s)`, or `(B, S, K, D_s)` where layers are mixed.
            labels: Class indices `(B,)` or shares of the classes `(B, C)`, see `check_targets`; -100 leaves an
                utterance out of the losses.
            output_attentions: Also return label attentions, cross-attention, masks, and what the encoders' layers
                attend to; the configuration's if not given.
            output_hidden_states: Also return the states between the encoders' layers, or of those by number; the
                configuration's if not given.
            return_dict: `False` for a tuple; the configuration's if not given.

        Raises:
            ValueError: If no branch of the model gets an input, or labels are not valid.
        """
        record = self.layer_record(output_attentions, output_hidden_states)
        need_weights = record.attentions
        inputs: dict[str, Any] = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "token_type_ids": token_type_ids,
            "input_values": input_values,
            "input_features": input_features,
            "audio_attention_mask": audio_attention_mask,
            "text_features": text_features,
            "speech_features": speech_features,
        }
        masks = masks_of(audio=self.audio_of(inputs), **inputs)
        text: Any = None
        speech: Any = None

        # 1. Label-token attention (equations 1 and 2)
        if self.text_encoder is not None:
            tokens = self.encode_modality("text", masks["text"], record, **inputs)  # (B, T, D_t), (B, T)
            if tokens is not None:
                text = self._branch("text", tokens[0], self._fusion_tokens(tokens[1], token_type_ids))
        # 2. Label-frame attention (equations 4 and 5)
        if self.speech_encoder is not None:
            frames = self.encode_modality("speech", masks["speech"], record, **inputs)  # (B, S, D_s), (B, S)
            if frames is not None:
                speech = self._branch("speech", *frames)
        if text is None and speech is None:
            raise ValueError(nothing_to_use(self.config.modalities))

        # 3. Fusion (equations 7 to 9, 11)
        losses: dict[str, Any] = {}
        attention: Any = None
        if text is None or speech is None:
            branch = text or speech
            logits, embeddings = branch["logits"], self._half_embeddings(text, speech)
        elif self.config.fusion == "score":
            logits = text["logits"] + speech["logits"]
            embeddings = self._half_embeddings(text, speech)
        else:
            constrained = self.config.fusion == "constraint" and labels is not None
            fused, attention = self._fuse(text, speech, need_weights or constrained)
            pooled = masked_pool(fused, text["mask"], self.config.pooling)  # (B, D_t + D_s)
            both = text["present"] & speech["present"]  # (B,)
            embeddings = torch.where(both[:, None], pooled, self._half_embeddings(text, speech))
            one = torch.where(text["present"][:, None], text["logits"], speech["logits"])
            logits = torch.where(both[:, None], self.classifier(self.dropout(pooled)), one)  # (B, C)
            if constrained:
                pairs = text["mask"][:, :, None] & speech["mask"][:, None, :]  # (B, T, S)
                losses["constraint"] = attention_constraint_loss(self._guide(text, speech), attention, pairs)

        # 4. Losses (equations 3, 6, 10 to 12)
        loss = None
        if labels is not None:
            losses = self._losses(logits, labels, text, speech, losses)
            loss = weighted_total(losses, self.config.loss_weights)
        output = MerOutput(
            loss=loss,
            logits=logits,
            losses=losses or None,
            embeddings=embeddings,
            text_label_attention=text["similarity"] if need_weights and text else None,
            speech_label_attention=speech["similarity"] if need_weights and speech else None,
            cross_attention=attention if need_weights else None,
            text_mask=text["mask"] if need_weights and text else None,
            speech_mask=speech["mask"] if need_weights and speech else None,
            **record.fields(self.config.modalities),
        )
        return self.as_asked(output, return_dict)

    def _fusion_tokens(self, mask: Tensor, token_type_ids: Tensor | None) -> Tensor:
        """Tokens that label attention and fusion see: all, or the current utterance's. Shape `(B, T)`."""
        if self.config.history_in_fusion or token_type_ids is None:
            return mask
        current = mask & (token_type_ids == 1)
        return current | (mask & ~current.any(dim=1, keepdim=True))

    def _branch(self, modality: str, hidden: Tensor, mask: Tensor) -> dict[str, Any]:
        """One branch on its own: states, mask, label attention, pooled vector, and its logits without the other."""
        branch = {"hidden": hidden, "mask": mask, "present": mask.any(dim=1), "similarity": None, "scores": None}
        branch["pooled"] = masked_pool(hidden, mask, self.config.pooling)  # (B, D)
        if modality == "text" and self.config.has_text_labels:
            branch["similarity"], branch["scores"] = self.text_label_embeddings(hidden, mask)
        elif modality == "speech" and self.config.has_tonal_labels:
            compared = self.speech_projection(hidden) if self.config.tonal_space == "contrastive" else hidden
            branch["similarity"], branch["scores"] = self.tonal_label_embeddings(compared, mask)
        branch["logits"] = self._branch_logits(modality, branch)
        return branch

    def _branch_logits(self, modality: str, branch: dict[str, Any]) -> Tensor:
        own = getattr(self, f"{modality}_classifier", None)
        if own is not None:
            logits = own(self.dropout(branch["pooled"]))
            # an utterance without this modality adds nothing to the score fusion
            return logits.masked_fill(~branch["present"][:, None], 0.0)
        if branch["scores"] is not None:
            return branch["scores"] / self.config.label_temperature
        # through the module, which an adapter may have wrapped, and not with a half of its weight
        own_half = branch["pooled"]
        other = self.config.speech_config if modality == "text" else self.config.text_config
        nothing = own_half.new_zeros(len(own_half), other.hidden_size)
        return self.classifier(torch.cat((own_half, nothing) if modality == "text" else (nothing, own_half), dim=-1))

    def _half_embeddings(self, text: dict | None, speech: dict | None) -> Tensor:
        """Each branch's pooled vector in its half, zeros where an utterance lacks the modality.

        Shape `(B, D_t + D_s)`, of a unimodal model `(B, D)`.
        """
        given = next(branch for branch in (text, speech) if branch is not None)["pooled"]
        halves = []
        for encoder, branch in ((self.text_encoder, text), (self.speech_encoder, speech)):
            if branch is not None:
                halves.append(branch["pooled"])
            elif encoder is not None:
                halves.append(given.new_zeros(len(given), encoder.config.hidden_size))
        return torch.cat(halves, dim=-1)

    def _fuse(self, text: dict, speech: dict, need_weights: bool) -> tuple[Tensor, Tensor | None]:
        """`H_m = [H_t, H_s']` (equation 8), `(B, T, D_t + D_s)`, and `A_r` if asked for, `(B, T, S)`."""
        tokens, frames = text["hidden"], speech["hidden"]
        keys_mask = speech["mask"] | ~speech["present"][:, None]  # a missing utterance's frames are ignored later
        attention = None
        if self.config.fusion == "guided":  # C3
            aligned = self._guided(text, speech, keys_mask)
        else:  # C1, C2, C4
            aligned, attention = self.cross_attention(
                tokens, frames, keys_mask, need_weights
            )  # (B, T, D_s), (B, T, S)
            if self.config.fusion == "sum":
                aligned = aligned + self._guided(text, speech, keys_mask)
        return torch.cat([tokens, aligned], dim=-1), attention

    def _guided(self, text: dict, speech: dict, keys_mask: Tensor) -> Tensor:
        """`A_l H_s` without forming `A_l` `(B, T, S)`: as `G_t (G_s^T H_s)`, or through SDPA with the softmax."""
        tokens, frames = text["similarity"], speech["similarity"]  # (B, T, C), (B, S, C)
        if self.config.guided_attention_norm == "softmax":
            return attend(tokens, frames, speech["hidden"], keys_mask)  # (B, T, D_s)
        return tokens @ (frames.transpose(1, 2) @ speech["hidden"])  # (B, T, D_s)

    def _guide(self, text: dict, speech: dict) -> Tensor:
        """`A_l = G_t G_s^T` (equation 9), with a softmax over real frames if so configured. Shape `(B, T, S)`."""
        guide = text["similarity"] @ speech["similarity"].transpose(1, 2)
        if self.config.guided_attention_norm == "softmax":
            keys_mask = speech["mask"] | ~speech["present"][:, None]
            guide = guide.masked_fill(~keys_mask[:, None, :], float("-inf")).softmax(dim=-1)
        return guide

    def _losses(
        self, logits: Tensor, labels: Tensor, text: dict | None, speech: dict | None, losses: dict[str, LossSum]
    ) -> dict[str, Tensor]:
        """All parts, in the order of equation 12; in training means over the utterances of all processes."""
        targets = check_targets(labels, len(logits), self.config.num_labels)
        options = self.config.label_options
        parts: dict[str, LossSum] = {
            "classification": masked_cross_entropy(logits, targets, **options),
            **losses,
        }
        for name, branch in (("text_label", text), ("speech_label", speech)):
            if branch is not None and branch["scores"] is not None:
                parts[name] = masked_cross_entropy(
                    branch["scores"] / self.config.label_temperature, targets, branch["present"], **options
                )
        return joint_means(parts, self.config.known_losses, self.training)


def _score_fusion_config(text: LeMerConfig, speech: LeMerConfig) -> LeMerConfig:
    """The configuration of two unimodal models as one; what is said of labels is theirs where both agree."""
    shared = ("label_smoothing", "class_weights", "class_prior")
    same = [name for name in shared if getattr(text, name) == getattr(speech, name)]
    return LeMerConfig(
        text_config=text.text_config,
        speech_config=speech.speech_config,
        text_label_init=text.text_label_init,
        tonal_label_init=speech.tonal_label_init,
        tonal_space=speech.tonal_space,
        tonal_dim=speech.tonal_dim,
        history_in_fusion=text.history_in_fusion,
        pooling=text.pooling,
        text_layers=text.text_layers,
        speech_layers=speech.speech_layers,
        text_scale=text.text_scale,
        loss_weights={**text.loss_weights, "speech_label": speech.loss_weights["speech_label"]},
        label_temperature=text.label_temperature,
        freeze=list(dict.fromkeys([*text.freeze, *speech.freeze])),
        fusion="score",
        language=text.language,
        id2label=text.id2label,
        label2id=text.label2id,
        **{name: getattr(text, name) for name in same},
    )
