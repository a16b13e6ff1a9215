"""Settings of the label embeddings (LE-MER, sections 2.1 and 2.2)."""

from dataclasses import dataclass
from typing import ClassVar

from hf_mer.training.settings.roles import setting

DISCRETIZERS = ("codebook", "kmeans")


@dataclass
class LabelStoreArguments:
    """How label embeddings start; the papers' best K are 9 words and 100 codes per class."""

    _argument_group_name: ClassVar[str] = "label embeddings"

    text_top_k: int = setting(9, "Keywords per class in the semantic label embedding.")
    tonal_top_k: int = setting(100, "Codes per class in the tonal label embedding.")
    tfidf_documents: str = setting(
        "utterance", "Documents of TF-IDF: utterance (scores are averaged per class), or class."
    )
    tfidf_contrast: bool = setting(
        False, "Subtract the mean TF-IDF score of the other classes; false as in the paper."
    )
    max_word_share: float = setting(
        0.1, "Ignore words in a larger share of the training utterances: a stop list for any language."
    )
    min_word_count: int = setting(2, "Ignore words that occur in fewer training utterances.")
    discretizer: str = setting("codebook", "Speech units: codebook (the checkpoint's quantizer) or kmeans.")
    kmeans_clusters: int = setting(500, "Number of k-means clusters.")
    kmeans_features: str = setting("hidden", "Input of k-means: hidden states, or input for log-mel frames.")
    kmeans_frames: int = setting(50_000, "Number of frames that k-means is fitted on.")

    def __post_init__(self) -> None:
        if self.discretizer not in DISCRETIZERS:
            raise ValueError(f"discretizer: '{self.discretizer}' is not one of {', '.join(DISCRETIZERS)}")
        for name in ("text_top_k", "tonal_top_k", "kmeans_clusters", "kmeans_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
