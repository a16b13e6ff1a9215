"""Multimodal emotion recognition from speech, text and video, native to the Hugging Face libraries.

The public names load on first use (PEP 562), so that `import hf_mer` costs milliseconds and brings in neither torch
nor transformers nor datasets. Using any name of `hf_mer.models`, or `import hf_mer.models` itself, registers the
models with the Auto classes and with `pipeline` of transformers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hf_mer.version import __version__

if TYPE_CHECKING:
    from hf_mer.data.generated import GeneratedCorpusConfig, generate_corpus
    from hf_mer.data.generated_meld import GeneratedMeldConfig, generate_meld_corpus
    from hf_mer.data.iemocap import load_iemocap
    from hf_mer.data.manifest import load_corpus
    from hf_mer.data.meld import load_meld
    from hf_mer.data.prepare import prepare
    from hf_mer.data.protocols import make_folds
    from hf_mer.data.registry import register_datasets
    from hf_mer.metrics import EmotionMetrics
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
    )
    from hf_mer.training import MerTrainer, MerTrainingArguments

_PUBLIC_NAMES = {
    "LabelEmbeddingStore": "hf_mer.models",
    "LeMerConfig": "hf_mer.models",
    "LeMerForEmotionClassification": "hf_mer.models",
    "MerProcessor": "hf_mer.models",
    "MgcmaConfig": "hf_mer.models",
    "MgcmaForEmotionClassification": "hf_mer.models",
    "MultimodalEmotionRecognitionPipeline": "hf_mer.models",
    "WavFusionConfig": "hf_mer.models",
    "WavFusionForEmotionClassification": "hf_mer.models",
    "GeneratedCorpusConfig": "hf_mer.data.generated",
    "generate_corpus": "hf_mer.data.generated",
    "GeneratedMeldConfig": "hf_mer.data.generated_meld",
    "generate_meld_corpus": "hf_mer.data.generated_meld",
    "load_corpus": "hf_mer.data.manifest",
    "load_iemocap": "hf_mer.data.iemocap",
    "load_meld": "hf_mer.data.meld",
    "make_folds": "hf_mer.data.protocols",
    "prepare": "hf_mer.data.prepare",
    "register_datasets": "hf_mer.data.registry",
    "EmotionMetrics": "hf_mer.metrics",
    "MerTrainer": "hf_mer.training",
    "MerTrainingArguments": "hf_mer.training",
}

# Written out rather than computed from `_PUBLIC_NAMES`: type checkers and editors read it without running it.
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
    "generate_corpus",
    "generate_meld_corpus",
    "load_corpus",
    "load_iemocap",
    "load_meld",
    "make_folds",
    "prepare",
    "register_datasets",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; public names: {', '.join(__all__)}")
    value = getattr(import_module(_PUBLIC_NAMES[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
