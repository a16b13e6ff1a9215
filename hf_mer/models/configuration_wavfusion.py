"""Configuration of WavFusion (Li et al., arXiv 2412.05558)."""

from typing import Any, ClassVar

from transformers import PreTrainedConfig

from .configuration_mer import MODALITIES, MerConfig
from .encoder_configuration_mer import MOST_LAYERS
from .fields_mer import Rule, choice, flag, list_of, number, optional, whole, word

LAYERED_SPEECH_TYPES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio")


class WavFusionConfig(MerConfig):
    r"""Every system of the paper's Tables 3 to 6 is a value of this configuration.

    | table | system | value |
    |---|---|---|
    | 3 | A, T, V, A+T, A+V, A+V+T | `modalities` |
    | 4 | without LVC, with LVC | `use_lvc` `False`, `True` |
    | 5 | lambda 0, 0.01, 0.1, 1, 10 | `loss_weights={"margin": lambda}` |
    | 6 | concat (12, 0), (11, 1), (10, 2), (9, 3), (8, 4) | `num_deep_layers` 0, 1, 2, 3, 4 |

    The paper has no row without its gate; `fusion_gate="mean"` is one.

    One modality has neither gated attention nor margin loss (section 3.4): speech is the encoder with its last
    `num_deep_layers` layers trained as they are, text and video are their A-GRU and A-GRU-LVC. Without deep layers
    (concat), and for text with video, which have no speech to be fused into, the pooled modalities are joined.

    Args:
        text_config: Configuration of the text encoder. The paper's is RoBERTa base; the type is BERT if not given.
        speech_config: Configuration of the speech encoder, wav2vec2 by default; hubert, wavlm and data2vec-audio have
            the same layers, and any other type serves with `num_deep_layers=0`. `num_hidden_layers` counts shallow and
            deep layers.
        video_config: Configuration of the encoder of single frames, EfficientNet by default.
        modalities: Any of `text`, `speech` and `video`, all three by default.
        num_deep_layers: Last layers of the speech encoder whose self-attention becomes gated cross-modal attention
            (equations 8 to 11), 3; the ones before are the shallow ones (equation 7).
        fusion_gate: `"learned"`, the gate of equations 10 and 11, or `"mean"`, its ablation: the plain average of what
            audio finds in text and in video. It decides nothing where only one of the two is there, and the output's
            `gates` say it as they say a learned one, 1/2 where an utterance has both.
        text_dim: Width of the text's A-GRU (equation 6); the text encoder's (768, section 3.2) if not given.
        video_dim: Width of `e_v`, to which a trained linear layer brings the frames' pooled features, and of the
            video's A-GRU and LVC, 64 (section 3.2).
        auxiliary_heads: Heads of the self-attention in A-GRU; the paper states none.
        auxiliary_dropout: Dropout on the weights of the self-attention in A-GRU; the paper states none.
        auxiliary_residual: `False`: A-GRU is `SelfAttention(GRU(e))` as in equations 2 and 6. `True`: the attention's
            input is added to its output and the sum is normalised, as in a Transformer layer.
        gru_layers: Layers of each GRU; the paper states none.
        gru_bidirectional: Whether each GRU reads in both directions, half of the width for each.
        use_lvc: Whether the learnable visual centre is joined to the video's A-GRU (equations 3 and 4).
        lvc_codewords: Entries K of its codebook, 64 as in its source, Centralized Feature Pyramid (Quan et al., 2023).
        shared_dim: Width of the homogeneous features (equation 12). The paper gives speech "768 and 64": the second is
            taken for this.
        margin: `alpha` of equation 13; the paper gives no value.
        pooling: `"mean"` or `"max"` over real positions, before the classifier and before the shared encoder; the
            paper states none.
        loss_weights: Of `classification` and `margin` (lambda of equation 15), 1 each.
        classifier_dropout: Dropout before the classifier; the paper states none.
        freeze: Parts that are not trained. By default the encoders, as in section 3.2: of the speech encoder that is
            everything below the deep layers. Also `text_embeddings`, `speech_feature_encoder`, `text_layers:N`,
            `speech_layers:N`.
        initializer_range: Standard deviation of the initial values of new layers.
    """

    model_type = "wavfusion"
    known_modalities: ClassVar[tuple[str, ...]] = MODALITIES
    known_losses: ClassVar[dict[str, float]] = {"classification": 1.0, "margin": 1.0}
    rules: ClassVar[dict[str, Rule]] = {
        **MerConfig.rules,
        "num_deep_layers": number(whole=True),
        "fusion_gate": choice("learned", "mean"),
        "text_dim": optional(whole()),
        "video_dim": whole(),
        "auxiliary_heads": whole(),
        "auxiliary_dropout": number(0, 1),
        "auxiliary_residual": flag,
        "gru_layers": whole(1, MOST_LAYERS),
        "gru_bidirectional": flag,
        "use_lvc": flag,
        "lvc_codewords": whole(),
        "shared_dim": whole(),
        "margin": number(0),
        "pooling": choice("mean", "max"),
        "classifier_dropout": number(0, 1),
    }

    def __init__(
        self,
        text_config: dict | PreTrainedConfig | None = None,
        speech_config: dict | PreTrainedConfig | None = None,
        video_config: dict | PreTrainedConfig | None = None,
        modalities: list[str] | None = None,
        num_deep_layers: int = 3,
        fusion_gate: str = "learned",
        text_dim: int | None = None,
        video_dim: int = 64,
        auxiliary_heads: int = 8,
        auxiliary_dropout: float = 0.0,
        auxiliary_residual: bool = False,
        gru_layers: int = 1,
        gru_bidirectional: bool = False,
        use_lvc: bool = True,
        lvc_codewords: int = 64,
        shared_dim: int = 64,
        margin: float = 0.1,
        pooling: str = "mean",
        loss_weights: dict[str, float] | None = None,
        classifier_dropout: float = 0.0,
        freeze: list[str] | None = None,
        initializer_range: float = 0.02,
        **kwargs: Any,
    ):
        if freeze is None:
            present = self.known_modalities if modalities is None else list_of(word)("modalities", modalities)
            freeze = [f"{name}_encoder" for name in present]
        super().__init__(
            text_config=text_config,
            speech_config=speech_config,
            video_config=video_config,
            modalities=modalities,
            loss_weights=loss_weights,
            freeze=freeze,
            initializer_range=initializer_range,
            **kwargs,
        )
        self.num_deep_layers = num_deep_layers
        self.fusion_gate = fusion_gate
        self.text_dim = text_dim
        self.video_dim = video_dim
        self.auxiliary_heads = auxiliary_heads
        self.auxiliary_dropout = auxiliary_dropout
        self.auxiliary_residual = auxiliary_residual
        self.gru_layers = gru_layers
        self.gru_bidirectional = gru_bidirectional
        self.use_lvc = use_lvc
        self.lvc_codewords = lvc_codewords
        self.shared_dim = shared_dim
        self.margin = margin
        self.pooling = pooling
        self.classifier_dropout = classifier_dropout
        self._check()

    @property
    def has_gated_attention(self) -> bool:
        """Whether the deep layers fuse other modalities into speech; if not, pooled modalities are joined."""
        return "speech" in self.modalities and self.is_multimodal and self.num_deep_layers > 0

    @property
    def widths(self) -> dict[str, int]:
        """Width of `X_t`, `X_a` and `X_v`, by modality."""
        widths = {}
        if "text" in self.modalities:
            widths["text"] = self.text_dim or self.text_config.hidden_size
        if "speech" in self.modalities:
            widths["speech"] = self.speech_config.hidden_size
        if "video" in self.modalities:
            widths["video"] = self.video_dim * (2 if self.use_lvc else 1)
        return widths

    def _check(self) -> None:
        if "speech" in self.modalities:
            self._check_deep_layers()
        parts = 2 if self.gru_bidirectional else 1
        auxiliary = {"text": self.widths.get("text"), "video": self.video_dim if "video" in self.modalities else None}
        for name, width in auxiliary.items():
            if width is not None and (width % self.auxiliary_heads or width % parts):
                raise ValueError(
                    f"{name}_dim={width} must be a multiple of auxiliary_heads={self.auxiliary_heads}"
                    f"{' and of 2, for a GRU in both directions' if parts == 2 else ''}"
                )

    def _check_deep_layers(self) -> None:
        encoder = self.speech_config
        if not 0 <= self.num_deep_layers <= encoder.num_hidden_layers:
            raise ValueError(
                f"num_deep_layers={self.num_deep_layers} must be between 0 and the speech encoder's "
                f"{encoder.num_hidden_layers} layers"
            )
        if self.num_deep_layers and encoder.model_type not in LAYERED_SPEECH_TYPES:
            raise ValueError(
                f"num_deep_layers={self.num_deep_layers}: the layers of speech encoder '{encoder.model_type}' cannot "
                f"be taken over; use num_deep_layers=0 or one of {', '.join(LAYERED_SPEECH_TYPES)}"
            )
