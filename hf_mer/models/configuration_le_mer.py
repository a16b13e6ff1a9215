"""Configuration of LE-MER (Wang et al., Interspeech 2023, arXiv 2309.02106)."""

from typing import Any, ClassVar

from transformers import PreTrainedConfig

from .configuration_mer import MerConfig
from .fields_mer import Rule, choice, flag, number, whole
from .layer_mixture_mer import check_scale, layer_choice

TEXT_LABEL_INITS = ("none", "random", "label_words", "tfidf")
TONAL_LABEL_INITS = ("none", "random", "bert", "codebook")
FUSIONS = ("constraint", "sum", "guided", "vanilla", "score")
TONAL_SPACES = ("hidden", "contrastive")
LOSS_WEIGHTS = {"classification": 1.0, "constraint": 0.5, "text_label": 0.2, "speech_label": 0.2}


class LeMerConfig(MerConfig):
    r"""Every system of the paper's Tables 1 to 3 is a value of this configuration.

    | system | `modalities` | `text_label_init` | `tonal_label_init` | `fusion` |
    |---|---|---|---|---|
    | A1, A2 | text | none | none | - |
    | A3, A4, A5 | text | random, label_words, tfidf | none | - |
    | B1, B2 | speech | none | none | - |
    | B3, B4, B5 | speech | none | random, bert, codebook | - |
    | score fusion | both | as A5 | as B5 | score |
    | C1 (LE-MER), C2, C3, C4 | both | tfidf | codebook | constraint, sum, guided, vanilla |

    History (A2 and later) is what the processor is given; `history_in_fusion` says whether it is seen beyond the
    encoder.

    Args:
        text_config: Configuration of the text encoder (a dictionary or an object of any encoder-only text model), BERT
            by default.
        speech_config: Configuration of the speech encoder: wav2vec2, wav2vec2-conformer, wav2vec2-bert, hubert,
            wavlm, data2vec-audio, unispeech, unispeech-sat or whisper (of which the encoder alone is built); wav2vec2
            by default.
        modalities: Branches the model has: `["text", "speech"]` (the paper's LE-MER), `["text"]` (A1 to A5) or
            `["speech"]` (B1 to B5).
        text_label_init: How the semantic label embedding starts, section 2.1 and Table 1; `"none"` leaves it out, with
            its loss.
        tonal_label_init: How the tonal label embedding starts, section 2.2 and Table 1; `"none"` leaves it out, with
            its loss.
        tonal_space: Where frames and tonal labels meet. The paper's equation 4 needs codebook vectors as wide as the
            hidden states, which no public checkpoint has. `"hidden"`: the label is the mean hidden state of the frames
            that bear the class' Top-K codes. `"contrastive"`: `project_hid(H_s)` against `project_q(codevector)`, both
            projections from the checkpoint, the space whose cosine wav2vec 2.0's pretraining maximises.
        tonal_dim: Width of the contrastive space (`proj_codevector_dim` of the checkpoint); not used by `"hidden"`.
        fusion: Table 3: `"constraint"` (C1, equations 7 to 10), `"sum"` (C2, `A_r + A_l`), `"guided"` (C3, only
            `A_l`), `"vanilla"` (C4, only `A_r`), or `"score"` (Table 2, the sum of two unimodal models' logits).
        guided_attention_norm: `"none"` (equation 9 as printed) or `"softmax"` of `A_l` over the real frames.
        history_in_fusion: `True`: label-token attention and fusion see all tokens, history too (the paper). `False`:
            only the current utterance's tokens, whose token type is 1; history still acts through the encoder's
            attention.
        loss_weights: Equation 12's mu, by the names of the losses: `classification` 1, `constraint` 0.5, `text_label`
            0.2, `speech_label` 0.2.
        label_temperature: The cosines' mean is divided by it before the softmax of equations 2 and 5; 1 is the paper.
        classifier_dropout: Dropout before the classifier; the paper states none.
        freeze: Parts that are not trained, of `text_encoder`, `text_embeddings`, `speech_encoder`,
            `speech_feature_encoder` (the convolutions of wav2vec 2.0), `label_embeddings`, `text_layers:N` and
            `speech_layers:N` (the lowest N layers).
        pooling: Over tokens or frames, before the classifier: `"max"` (the paper) or `"mean"`, from which a linear
            classifier on a frozen encoder learns faster.
        text_layers: What of the text encoder is used: `"last"`, its last hidden state (the paper), or `"mix"`, a
            learned mixture of all its hidden states, see `LayerMixture`.
        speech_layers: The same of the speech encoder.
        text_scale: Factor on a mixture of the text encoder's layers, see `LayerMixture`. Adam learns from
            small values more slowly: below 1 keeps sentences, which differ more than voices do once every layer is
            brought to one size, from being learned by heart before the voice is learned at all.
        initializer_range: Standard deviation of the classifier's and random label embeddings' initial values.
    """

    model_type = "le_mer"
    known_losses: ClassVar[dict[str, float]] = LOSS_WEIGHTS
    known_parts: ClassVar[tuple[str, ...]] = ("label_embeddings",)
    rules: ClassVar[dict[str, Rule]] = {
        **MerConfig.rules,
        "text_label_init": choice(*TEXT_LABEL_INITS),
        "tonal_label_init": choice(*TONAL_LABEL_INITS),
        "tonal_space": choice(*TONAL_SPACES),
        "tonal_dim": whole(),
        "fusion": choice(*FUSIONS),
        "guided_attention_norm": choice("none", "softmax"),
        "history_in_fusion": flag,
        "label_temperature": number(above=0),
        "classifier_dropout": number(0, 1),
        "pooling": choice("max", "mean"),
        "text_layers": layer_choice,
        "speech_layers": layer_choice,
        "text_scale": number(above=0),
    }

    def __init__(
        self,
        text_config: dict | PreTrainedConfig | None = None,
        speech_config: dict | PreTrainedConfig | None = None,
        modalities: list[str] | None = None,
        text_label_init: str | None = None,
        tonal_label_init: str | None = None,
        tonal_space: str = "hidden",
        tonal_dim: int = 256,
        fusion: str = "constraint",
        guided_attention_norm: str = "none",
        history_in_fusion: bool = True,
        loss_weights: dict[str, float] | None = None,
        label_temperature: float = 1.0,
        classifier_dropout: float = 0.0,
        freeze: list[str] | None = None,
        pooling: str = "max",
        text_layers: str = "last",
        speech_layers: str = "last",
        text_scale: float = 1.0,
        initializer_range: float = 0.02,
        **kwargs: Any,
    ):
        super().__init__(
            text_config=text_config,
            speech_config=speech_config,
            modalities=modalities,
            loss_weights=loss_weights,
            freeze=freeze,
            initializer_range=initializer_range,
            **kwargs,
        )
        if text_label_init is None:
            text_label_init = "tfidf" if "text" in self.modalities else "none"
        if tonal_label_init is None:
            tonal_label_init = "codebook" if "speech" in self.modalities else "none"
        self.text_label_init = text_label_init
        self.tonal_label_init = tonal_label_init
        self.tonal_space = tonal_space
        self.tonal_dim = tonal_dim
        self.fusion = fusion
        self.guided_attention_norm = guided_attention_norm
        self.history_in_fusion = history_in_fusion
        self.label_temperature = label_temperature
        self.classifier_dropout = classifier_dropout
        self.pooling = pooling
        self.text_layers = text_layers
        self.speech_layers = speech_layers
        self.text_scale = text_scale
        self._check()

    @property
    def has_text_labels(self) -> bool:
        """Whether the text branch has label embeddings."""
        return "text" in self.modalities and self.text_label_init != "none"

    @property
    def has_tonal_labels(self) -> bool:
        """Whether the speech branch has label embeddings."""
        return "speech" in self.modalities and self.tonal_label_init != "none"

    @property
    def tonal_width(self) -> int:
        """Width of the tonal label embedding."""
        return self.tonal_dim if self.tonal_space == "contrastive" else self.speech_config.hidden_size

    def _check(self) -> None:
        check_scale(self)
        needs_labels = self.is_multimodal and self.fusion in ("constraint", "sum", "guided")
        if needs_labels and not (self.has_text_labels and self.has_tonal_labels):
            raise ValueError(
                f"fusion='{self.fusion}' is guided by label embeddings of both branches, but text_label_init="
                f"'{self.text_label_init}' and tonal_label_init='{self.tonal_label_init}'; "
                "use fusion='vanilla' or 'score' without them"
            )
        if self.has_tonal_labels and self.tonal_space == "contrastive" and self.speech_layers == "mix":
            raise ValueError(
                "tonal_space='contrastive' compares through project_hid, which the checkpoint learned for its last "
                "hidden state, and speech_layers is 'mix': use tonal_space='hidden', or speech_layers='last'"
            )
