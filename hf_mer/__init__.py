"""Multimodal emotion recognition from text, speech and video with Hugging Face: LE-MER, MGCMA and WavFusion.

The public names load on first use (PEP 562): `import hf_mer` takes milliseconds and imports neither torch nor
transformers nor datasets. Using any name of `hf_mer.models`, or `import hf_mer.models`, registers the models with the
Auto classes and the `pipeline` of transformers.
"""

import os
from typing import TYPE_CHECKING

from hf_mer.lazy import lazy_names
from hf_mer.version import __version__

# PyTorch reads it when it makes its first tensor: large ones on the CPU then lie in huge pages where the kernel has
# them, and room for them is made in a fraction of the time (of MGCMA's training step at base size a fifth was that).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

if TYPE_CHECKING:
    from hf_mer.data.corpora.iemocap import load_iemocap
    from hf_mer.data.corpora.manifest import load_corpus
    from hf_mer.data.corpora.meld import load_meld
    from hf_mer.data.corpora.public.loading import load_public
    from hf_mer.data.corpora.registry import register_datasets
    from hf_mer.data.generated.generate import (
        GeneratedCorpusConfig,
        GeneratedMeldConfig,
        generate_corpus,
        generate_meld_corpus,
    )
    from hf_mer.data.prepare import prepare
    from hf_mer.data.protocols.make_folds import make_folds
    from hf_mer.metrics.evaluate_metric import EmotionMetrics
    from hf_mer.models import (
        LabelEmbeddingStore,
        LeMerConfig,
        LeMerForEmotionClassification,
        MerProcessor,
        MgcmaConfig,
        MgcmaForEmotionClassification,
        MultimodalEmotionRecognitionPipeline,
        WavFusionConfig,
        WavFusionForEmotionClassification,
        explain,
    )
    from hf_mer.training import MerTrainer, MerTrainingArguments

__getattr__, __dir__, _ = lazy_names(
    __name__,
    {
        "hf_mer.models": (
            "LabelEmbeddingStore",
            "LeMerConfig",
            "LeMerForEmotionClassification",
            "MerProcessor",
            "MgcmaConfig",
            "MgcmaForEmotionClassification",
            "MultimodalEmotionRecognitionPipeline",
            "WavFusionConfig",
            "WavFusionForEmotionClassification",
            "explain",
        ),
        "hf_mer.data.generated.generate": (
            "GeneratedCorpusConfig",
            "GeneratedMeldConfig",
            "generate_corpus",
            "generate_meld_corpus",
        ),
        "hf_mer.data.corpora.manifest": ("load_corpus",),
        "hf_mer.data.corpora.iemocap": ("load_iemocap",),
        "hf_mer.data.corpora.meld": ("load_meld",),
        "hf_mer.data.corpora.public.loading": ("load_public",),
        "hf_mer.data.protocols.make_folds": ("make_folds",),
        "hf_mer.data.prepare": ("prepare",),
        "hf_mer.data.corpora.registry": ("register_datasets",),
        "hf_mer.metrics.evaluate_metric": ("EmotionMetrics",),
        "hf_mer.training": ("MerTrainer", "MerTrainingArguments"),
    },
)

# Written out, not computed: type checkers and editors read it without running it.
__all__ = [
    "EmotionMetrics",
    "GeneratedCorpusConfig",
    "GeneratedMeldConfig",
    "LabelEmbeddingStore",
    "LeMerConfig",
    "LeMerForEmotionClassification",
    "MerProcessor",
    "MerTrainer",
    "MerTrainingArguments",
    "MgcmaConfig",
    "MgcmaForEmotionClassification",
    "MultimodalEmotionRecognitionPipeline",
    "WavFusionConfig",
    "WavFusionForEmotionClassification",
    "__version__",
    "explain",
    "generate_corpus",
    "generate_meld_corpus",
    "load_corpus",
    "load_iemocap",
    "load_meld",
    "load_public",
    "make_folds",
    "prepare",
    "register_datasets",
]
