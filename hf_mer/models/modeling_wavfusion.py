"""WavFusion: gated cross-modal attention inside wav2vec 2.0 (Li et al., arXiv 2412.05558)."""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import initialization as init
from transformers.masking_utils import create_bidirectional_mask

from .configuration_wavfusion import WavFusionConfig
from .mer_distributed import gather_across_ranks
from .mer_embeddings import LearnedFrame
from .mer_layers import masked_max, masked_mean
from .mer_losses import joint_means, margin_loss, masked_cross_entropy, weighted_total
from .mer_masks import never_empty
from .mer_outputs import LayerRecord, MerOutput
from .mer_padding import checkpointable
from .mer_targets import check_targets, likeliest_classes
from .modeling_mer import MerPreTrainedModel
from .wavfusion_layers import AttentiveGru, GatedCrossModalLayer, LearnableVisualCentre

Encoded = dict[str, tuple[Tensor, Tensor]]  # states (B, L, D) and mask (B, L) by modality


class WavFusionForEmotionClassification(MerPreTrainedModel):
    """Emotion of an utterance from its voice, into whose encoder words and face are fused.

    The speech encoder is split: its shallow layers are `speech_encoder`, its last `num_deep_layers` are `deep_layers`,
    where audio frames attend to text and video instead of to each other. See `WavFusionConfig` for the paper's
    systems.

    An utterance without text or without video is fused with the other alone; one without speech asks with one learned
    frame; its missing modalities take no part in the margin loss. Where pooled modalities are joined, a missing one is
    zeros. One batch may mix complete and incomplete utterances.

    `torch.compile` breaks the graph at every GRU; with `torch._dynamo.config.allow_rnn = True` it makes one graph
    (`fullgraph=True`), in evaluation.

    Args:
        config: The configuration.
    """

    config_class = WavFusionConfig
    takes_features = True

    def __init__(self, config: WavFusionConfig):
        super().__init__(config)
        self.build_encoders(config)
        self.deep_layers = nn.ModuleList()
        self.deep_norm: nn.Module = nn.Identity()
        if "speech" in config.modalities and config.num_deep_layers:
            self._split_speech_encoder(config)
        self._build_auxiliary(config)
        widths = config.widths
        if config.has_gated_attention:
            self.missing_speech = LearnedFrame(widths["speech"])
        if config.is_multimodal:
            common = max(widths.values())
            self.shared_projections = nn.ModuleDict(
                {name: nn.Linear(width, common) for name, width in widths.items() if width != common}
            )
            self.shared_encoder = nn.Linear(common, config.shared_dim)
        classified = widths["speech"] if config.has_gated_attention else sum(widths.values())
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(classified, config.num_labels)
        self.post_init()
        self.apply_freezing()

    def _split_speech_encoder(self, config: WavFusionConfig) -> None:
        """Takes the deep layers off the speech encoder, with the norm that comes after them.

        The encoder's configuration remains the pretrained one, which counts them.
        """
        encoder = self.speech_encoder
        shallow = config.speech_config.num_hidden_layers - config.num_deep_layers
        layers = encoder.encoder.layers
        deep = layers[shallow:]
        encoder.encoder.layers = layers[:shallow]
        if getattr(encoder.config, "do_stable_layer_norm", False):
            self.deep_norm, encoder.encoder.layer_norm = encoder.encoder.layer_norm, nn.Identity()
        if config.has_gated_attention:
            key_dims = {name: width for name, width in config.widths.items() if name != "speech"}
            deep = [GatedCrossModalLayer(layer, encoder.config, key_dims, config.fusion_gate) for layer in deep]
        self.deep_layers = nn.ModuleList(deep)

    def _build_auxiliary(self, config: WavFusionConfig) -> None:
        settings: dict[str, Any] = {
            "num_heads": config.auxiliary_heads,
            "num_layers": config.gru_layers,
            "bidirectional": config.gru_bidirectional,
            "residual": config.auxiliary_residual,
            "dropout": config.auxiliary_dropout,
        }
        if "text" in config.modalities:
            self.text_gru = AttentiveGru(config.text_config.hidden_size, config.widths["text"], **settings)
        if "video" in config.modalities:
            self.video_projection = nn.Linear(_frame_width(self.video_encoder), config.video_dim)
            self.video_gru = AttentiveGru(config.video_dim, config.video_dim, **settings)
            if config.use_lvc:
                self.visual_centre = LearnableVisualCentre(config.video_dim, config.lvc_codewords)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, LearnedFrame):
            init.normal_(module.weight, std=self.config.initializer_range)
        elif isinstance(module, LearnableVisualCentre):
            bound = module.codewords.numel() ** -0.5
            init.uniform_(module.codewords, -bound, bound)
            init.uniform_(module.smoothing, -1.0, 0.0)
        elif isinstance(module, nn.GRU):
            for parameter in module.parameters():
                init.uniform_(parameter, -(module.hidden_size**-0.5), module.hidden_size**-0.5)
        elif isinstance(module, nn.Conv1d):
            init.kaiming_normal_(module.weight)
        else:
            super()._init_weights(module)

    def taken_over(self) -> list[nn.Module]:
        """What the deep layers have of the speech encoder's own, and the norm after them."""
        modules: list[nn.Module] = [self.deep_norm] if len(self.deep_layers) else []
        for layer in self.deep_layers:
            modules += layer.kept if isinstance(layer, GatedCrossModalLayer) else [layer]
        return modules

    def load_encoders(
        self,
        text_encoder: nn.Module | None = None,
        speech_encoder: nn.Module | None = None,
        video_encoder: nn.Module | None = None,
    ) -> None:
        """Copies the weights of pretrained encoders; the speech encoder's last layers go to the deep layers.

        Of a replaced layer, layer norms, feed-forward, and query and output projections are kept; keys and values for
        text and video are new.

        Raises:
            ValueError: If a weight that this model needs is not there.
        """
        super().load_encoders(text_encoder, speech_encoder, video_encoder)
        if speech_encoder is None or not len(self.deep_layers):
            return
        given: Any = getattr(speech_encoder, "base_model", speech_encoder)
        total = self.config.speech_config.num_hidden_layers
        if len(given.encoder.layers) != total:
            raise ValueError(f"the speech encoder has {len(given.encoder.layers)} layers, the configuration {total}")
        for mine, layer in zip(self.deep_layers, given.encoder.layers[-len(self.deep_layers) :], strict=True):
            if isinstance(mine, GatedCrossModalLayer):
                mine.load_replaced(layer)
            else:
                mine.load_state_dict(layer.state_dict())
        if not isinstance(self.deep_norm, nn.Identity):
            self.deep_norm.load_state_dict(given.encoder.layer_norm.state_dict())

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        input_values: Tensor | None = None,
        input_features: Tensor | None = None,
        audio_attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        video_attention_mask: Tensor | None = None,
        text_features: Tensor | None = None,
        speech_features: Tensor | None = None,
        video_features: Tensor | None = None,
        labels: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | int | list[int] | None = None,
        return_dict: bool | None = None,
    ) -> MerOutput | tuple:
        """Classifies a batch of utterances.

        Args:
            input_ids: Tokens. Shape `(B, T)`.
            attention_mask: 1 for real tokens, a row of 0 for an utterance without text. Shape `(B, T)`. Without text,
                a feature extractor's mask of the audio's shape, which then is `audio_attention_mask`.
            token_type_ids: For text encoders that know token types. Shape `(B, T)`.
            input_values: Samples, for encoders on the waveform. Shape `(B, N)`.
            input_features: Log-mel frames, for encoders on those. Shape `(B, S, M)`, for Whisper `(B, M, S)`.
            audio_attention_mask: 1 for real samples or frames, a row of 0 for an utterance without speech. Shape `(B,
                N)` or `(B, S)`.
            pixel_values: Video frames. Shape `(B, F, 3, H, W)`.
            video_attention_mask: 1 for real video frames, a row of 0 for an utterance without video. Shape `(B, F)`.
            text_features: `e_t` of a frozen text encoder in the place of tokens. Shape `(B, T, D_t)`.
            speech_features: `X_a` of frozen shallow layers in the place of audio; `audio_attention_mask` is then one
                of frames. Shape `(B, S, D_s)`.
            video_features: Pooled features of a frozen video encoder in the place of frames. Shape `(B, F, D_v)`.
            labels: Class indices `(B,)` or shares of the classes `(B, C)`, see `check_targets`; -100 leaves an
                utterance out of the losses. For the margin loss the class of the largest share counts.
            output_attentions: Also return gates, cross-attentions, masks, and what the encoders' layers attend to; the
                configuration's if not given.
            output_hidden_states: Also return the states between the encoders' layers, or of those by number; the
                configuration's if not given.
            return_dict: `False` for a tuple; the configuration's if not given.

        Raises:
            ValueError: If the model gets no input that it can use, or labels are not valid.
        """
        record = self.layer_record(output_attentions, output_hidden_states)
        need_weights = record.attentions
        # 1. Encoders (equations 1, 5 and 7)
        encoded: Encoded = self.encode_inputs(
            record,
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            input_values=input_values,
            input_features=input_features,
            audio_attention_mask=audio_attention_mask,
            pixel_values=pixel_values,
            video_attention_mask=video_attention_mask,
            text_features=text_features,
            speech_features=speech_features,
            video_features=video_features,
        )
        # 2. A-GRU and A-GRU-LVC (equations 2 to 4 and 6)
        unfused = self._auxiliary(encoded)
        pooled = {name: self._pool(*unfused[name]) for name in unfused}  # (B, D_m), 0 where missing
        # 3. Deep layers (equations 8 to 11)
        seen: list[dict[str, Tensor]] = []
        if self.config.has_gated_attention:
            embeddings, seen = self._fuse(unfused, record)  # (B, D_s)
        elif len(self.deep_layers):
            states, mask = unfused["speech"]
            embeddings = self._pool(self._self_attention(states, mask, record), mask)
        else:
            embeddings = torch.cat(list(pooled.values()), dim=-1)
        logits = self.classifier(self.dropout(embeddings))  # (B, C)
        # 4. Losses (equations 12 to 15)
        shared = self._shared(pooled, unfused) if self.config.is_multimodal else None
        losses: dict[str, Tensor] = {}
        if labels is not None:
            targets = check_targets(labels, len(logits), self.config.num_labels)
            smoothing = self.config.label_smoothing
            classification = masked_cross_entropy(logits, targets, label_smoothing=smoothing)
            losses = joint_means({"classification": classification}, ["classification"], self.training)
            if shared is not None:
                losses["margin"] = self._margin_loss(shared, unfused, likeliest_classes(targets))
        masks = {name: mask for name, (_, mask) in unfused.items()} if need_weights else {}
        output = MerOutput(
            loss=weighted_total(losses, self.config.loss_weights) if losses else None,
            logits=logits,
            losses=losses or None,
            embeddings=embeddings,
            modality_embeddings=shared,
            gates=_collect(seen, "gate"),
            text_cross_attentions=_collect(seen, "text"),
            video_cross_attentions=_collect(seen, "video"),
            text_mask=masks.get("text"),
            speech_mask=masks.get("speech"),
            video_mask=masks.get("video"),
            **record.fields(self.config.modalities),
        )
        return self.as_asked(output, return_dict)

    def _auxiliary(self, encoded: Encoded) -> Encoded:
        """`X_t`, `X_a`, `X_v` and their masks, in the order of the configuration's modalities.

        A modality that nobody in the batch has is one masked position of zeros: every process of a distributed run
        then takes the same steps.
        """
        some, some_mask = next(iter(encoded.values()))
        unfused: Encoded = {}
        for name in self.config.modalities:
            if name not in encoded:
                encoder = self.config.encoder_config(name)
                width = self.video_projection.in_features if name == "video" else encoder.hidden_size
                encoded[name] = some.new_zeros(len(some), 1, width), some_mask.new_zeros(len(some), 1)
            states, mask = encoded[name]
            if name == "text":
                states = self.text_gru(states, mask)  # (B, T, D_t)
            elif name == "video":
                frames = self.video_projection(states)  # e_v, (B, F, 64)
                states = self.video_gru(frames, mask)
                if self.config.use_lvc:
                    states = torch.cat([states, self.visual_centre(frames, mask)], dim=-1)  # (B, F, 128)
            unfused[name] = states, mask
        return unfused

    def _pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return masked_mean(states, mask) if self.config.pooling == "mean" else masked_max(states, mask)

    def _fuse(self, unfused: Encoded, record: LayerRecord) -> tuple[Tensor, list[dict[str, Tensor]]]:
        """Runs the deep layers and pools them; a learned frame stands where an utterance has no speech."""
        audio, mask = self.missing_speech(*unfused["speech"])
        text, text_mask = unfused.get("text", (None, None))
        video, video_mask = unfused.get("video", (None, None))
        seen, states = [], [audio]
        for layer in self.deep_layers:
            audio, looked_at = layer(audio, text, text_mask, video, video_mask, record.attentions)  # (B, S, D_s)
            seen.append(looked_at)
            states.append(audio)
        states[-1] = self.deep_norm(audio)
        record.follow("speech", states)
        return self._pool(states[-1], mask), seen

    def _self_attention(self, states: Tensor, mask: Tensor, record: LayerRecord) -> Tensor:
        """Runs the deep layers of a model of speech alone, which are the encoder's own. `(B, S, D_s)`."""
        encoder = self.speech_encoder
        shallow = encoder.encoder.layers
        states = checkpointable(states, self.deep_layers[0])
        passed = [states]
        mask = never_empty(mask)
        if encoder.config.model_type == "wavlm":  # whose first layer makes the position bias for all
            bias = None
            if len(shallow):
                size, length = mask.shape
                heads = shallow[0].attention.compute_bias(length, length)  # (H, S, S)
                bias = heads.repeat(size, 1, 1)  # (B * H, S, S)
            for layer in self.deep_layers:
                states, bias = layer(states, mask, bias)[:2]
                passed.append(states)
        else:
            keys = create_bidirectional_mask(config=encoder.config, inputs_embeds=states, attention_mask=mask)
            for layer in self.deep_layers:
                states = layer(states, keys)
                passed.append(states)
        passed[-1] = self.deep_norm(states)
        record.follow("speech", passed)
        return passed[-1]

    def _shared(self, pooled: dict[str, Tensor], unfused: Encoded) -> dict[str, Tensor]:
        """`X_com` of every modality, 0 where an utterance lacks it (equation 12). `(B, shared_dim)` each."""
        shared = {}
        for name, vector in pooled.items():
            if name in self.shared_projections:
                vector = self.shared_projections[name](vector)
            present = unfused[name][1].any(dim=1, keepdim=True)
            shared[name] = self.shared_encoder(vector).masked_fill(~present, 0.0)
        return shared

    def _margin_loss(self, shared: dict[str, Tensor], unfused: Encoded, labels: Tensor) -> Tensor:
        """Over the items of all processes in training."""
        items = torch.stack(list(shared.values()), dim=1)  # (B, M, shared_dim)
        present = torch.stack([mask.any(dim=1) for _, mask in unfused.values()], dim=1)  # (B, M)
        if self.training:
            items, present, labels = gather_across_ranks(items, present, labels)
        size, count = present.shape
        modalities = torch.arange(count, device=labels.device).repeat(size)  # (B * M,)
        classes = labels.repeat_interleave(count)
        return margin_loss(items.flatten(0, 1), modalities, classes, present.flatten(), self.config.margin)


def _collect(seen: list[dict[str, Tensor]], name: str) -> tuple[Tensor, ...] | None:
    return tuple(layer[name] for layer in seen if name in layer) or None


def _frame_width(encoder: Any) -> int:
    """Width of an image encoder's pooled features."""
    backbone = getattr(encoder, "timm_model", None)  # whose configuration does not say it
    if backbone is not None:
        return getattr(backbone, "head_hidden_size", None) or backbone.num_features
    config = encoder.config
    for name in ("hidden_dim", "hidden_size"):
        if isinstance(getattr(config, name, None), int):
            return getattr(config, name)
    if getattr(config, "hidden_sizes", None):
        return config.hidden_sizes[-1]
    raise ValueError(
        f"video encoder '{config.model_type}': its configuration does not say how wide its features are "
        "(hidden_dim, hidden_size or hidden_sizes)"
    )
