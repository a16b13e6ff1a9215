"""Configuration of MGCMA (Wang et al., ICASSP 2025, arXiv 2412.20821)."""

from typing import Any, ClassVar

from transformers import PreTrainedConfig

from .configuration_mer import MerConfig
from .encoder_configuration_mer import MOST_LAYERS
from .fields_mer import Rule, choice, flag, list_of, number, whole
from .layer_mixture_mer import check_scale, layer_choice

ALIGNMENT_MODULES = ("distribution", "token", "instance")


def _activation(name: str, value: Any) -> str:
    from transformers.activations import ACT2FN  # which brings in PyTorch

    return choice(*ACT2FN)(name, value)


class MgcmaConfig(MerConfig):
    r"""Every system of the paper's Tables II and III is a value of `alignment_order`.

    | system | `alignment_order` |
    |---|---|
    | S0 (MGCMA) | distribution, token, instance |
    | S1, S2, S3 | token, instance; distribution, instance; distribution, token |
    | S4 | (empty) |
    | S5, S6 | distribution, instance, token; instance, distribution, token |
    | S7 | instance, token, distribution |
    | S8, S9 | token, distribution, instance; token, instance, distribution |

    S4 is the plain concatenation of both encoders' states, each averaged over its real positions, and a linear
    classifier on it: nothing else has weights, but for a projection where an encoder is not `hidden_size` wide.

    Args:
        text_config: Configuration of the text encoder, BERT by default.
        speech_config: Configuration of the speech encoder, wav2vec2 by default.
        modalities: `["text", "speech"]` (the paper), or one of them: then there is nothing to align, and the model is
            encoder, pooling and classifier.
        alignment_order: The chain of alignment modules, any of `distribution` (DAM), `token` (TAM) and `instance`
            (IAM) in any order.
        hidden_size: Width D of the chain; the speech encoder's if not given. An encoder of another width gets a
            projection (the paper's both have 768).
        num_attention_heads: Heads of every attention layer (12 in the distribution constructor, section III-B; the
            paper states none for the token-based module).
        intermediate_size: Width of the feed-forward layers; `4 D` if not given, as in BERT.
        num_token_blocks: Blocks N of the token-based module, 6.
        hidden_act: Activation of feed-forward layers and distribution constructor.
        dropout: Of attention outputs and feed-forward layers; the paper states none, this is BERT's.
        contrastive_temperature: `tau` of both contrastive losses, 0.07.
        wasserstein_reduction: Equation 4 averaged (`"mean"`) or summed (`"sum"`, as printed) over the width. The mean
            keeps `p`, `q` and `tau` in proportion for any D.
        wasserstein_scale: Where `p` of equation 5 starts; it is learnt and stays positive.
        wasserstein_bias: Where `q` of equation 5 starts; it is learnt. (InfoNCE does not depend on it.)
        instance_normalize: Whether the vectors of equations 9 and 10 are normalised; `False` is the paper's text,
            whose dot products grow with the width.
        loss_weights: Of `classification`, `distribution` and `instance`, 1 each (equation 12).
        classifier_dropout: Dropout before the classifier; the paper states none.
        freeze: Parts that are not trained, of `text_encoder`, `text_embeddings`, `speech_encoder`,
            `speech_feature_encoder` (the convolutions of wav2vec 2.0), `text_layers:N` and `speech_layers:N`.
        text_layers: What of the text encoder is used: `"last"`, its last hidden state (the paper), or `"mix"`, a
            learned mixture of all its hidden states, see `LayerMixture`.
        speech_layers: The same of the speech encoder.
        text_scale: Factor on a mixture of the text encoder's layers, see `LayerMixture`. Adam learns from
            small values more slowly: below 1 keeps sentences, which differ more than voices do once every layer is
            brought to one size, from being learned by heart before the voice is learned at all.
        initializer_range: Standard deviation of the initial values of new layers.
    """

    model_type = "mgcma"
    known_losses: ClassVar[dict[str, float]] = {"classification": 1.0, "distribution": 1.0, "instance": 1.0}
    rules: ClassVar[dict[str, Rule]] = {
        **MerConfig.rules,
        "alignment_order": list_of(choice(*ALIGNMENT_MODULES)),
        "hidden_size": whole(),
        "num_attention_heads": whole(),
        "intermediate_size": whole(),
        "num_token_blocks": whole(1, MOST_LAYERS),
        "hidden_act": _activation,
        "dropout": number(0, 1),
        "contrastive_temperature": number(above=0),
        "wasserstein_reduction": choice("mean", "sum"),
        "wasserstein_scale": number(above=0),
        "wasserstein_bias": number(),
        "instance_normalize": flag,
        "classifier_dropout": number(0, 1),
        "text_layers": layer_choice,
        "speech_layers": layer_choice,
        "text_scale": number(above=0),
    }

    def __init__(
        self,
        text_config: dict | PreTrainedConfig | None = None,
        speech_config: dict | PreTrainedConfig | None = None,
        modalities: list[str] | None = None,
        alignment_order: list[str] | None = None,
        hidden_size: int | None = None,
        num_attention_heads: int = 12,
        intermediate_size: int | None = None,
        num_token_blocks: int = 6,
        hidden_act: str = "gelu",
        dropout: float = 0.1,
        contrastive_temperature: float = 0.07,
        wasserstein_reduction: str = "mean",
        wasserstein_scale: float = 1.0,
        wasserstein_bias: float = 0.0,
        instance_normalize: bool = True,
        loss_weights: dict[str, float] | None = None,
        classifier_dropout: float = 0.0,
        freeze: list[str] | None = None,
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
        self.alignment_order = ALIGNMENT_MODULES if alignment_order is None else alignment_order
        main = self.speech_config or self.text_config
        self.hidden_size = main.hidden_size if hidden_size is None else hidden_size
        self.num_attention_heads = num_attention_heads
        self.intermediate_size = 4 * self.hidden_size if intermediate_size is None else intermediate_size
        self.num_token_blocks = num_token_blocks
        self.hidden_act = hidden_act
        self.dropout = dropout
        self.contrastive_temperature = contrastive_temperature
        self.wasserstein_reduction = wasserstein_reduction
        self.wasserstein_scale = wasserstein_scale
        self.wasserstein_bias = wasserstein_bias
        self.instance_normalize = instance_normalize
        self.classifier_dropout = classifier_dropout
        self.text_layers = text_layers
        self.speech_layers = speech_layers
        self.text_scale = text_scale
        self._check()

    def _check(self) -> None:
        check_scale(self)
        if len(set(self.alignment_order)) != len(self.alignment_order):
            raise ValueError(f"alignment_order={self.alignment_order} must name each module at most once")
        if self.is_multimodal and self.alignment_order and self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} is not a multiple of num_attention_heads={self.num_attention_heads}"
            )
