"""Models, processor, label store and pipeline; everything in this folder travels with a checkpoint.

Importing it registers the package with the Auto classes and the pipeline registry of transformers.
"""

from transformers import AutoConfig, AutoModel, AutoModelForAudioClassification, AutoProcessor

from hf_mer.models.configuration_le_mer import LeMerConfig
from hf_mer.models.configuration_mgcma import MgcmaConfig
from hf_mer.models.configuration_wavfusion import WavFusionConfig
from hf_mer.models.explain_mer import explain
from hf_mer.models.label_store import LabelEmbeddingStore
from hf_mer.models.mer_outputs import MerOutput
from hf_mer.models.modeling_le_mer import LeMerForEmotionClassification
from hf_mer.models.modeling_mgcma import MgcmaForEmotionClassification
from hf_mer.models.modeling_wavfusion import WavFusionForEmotionClassification
from hf_mer.models.pipeline_mer import PIPELINE_TASK, MultimodalEmotionRecognitionPipeline, register_pipeline
from hf_mer.models.processing_mer import MerProcessor

__all__ = [
    "PIPELINE_TASK",
    "LabelEmbeddingStore",
    "LeMerConfig",
    "LeMerForEmotionClassification",
    "MerOutput",
    "MerProcessor",
    "MgcmaConfig",
    "MgcmaForEmotionClassification",
    "MultimodalEmotionRecognitionPipeline",
    "WavFusionConfig",
    "WavFusionForEmotionClassification",
    "explain",
]

for _config, _model in (
    (LeMerConfig, LeMerForEmotionClassification),
    (MgcmaConfig, MgcmaForEmotionClassification),
    (WavFusionConfig, WavFusionForEmotionClassification),
):
    AutoConfig.register(_config.model_type, _config, exist_ok=True)
    AutoModel.register(_config, _model, exist_ok=True)
    AutoModelForAudioClassification.register(_config, _model, exist_ok=True)
    AutoProcessor.register(_config, MerProcessor, exist_ok=True)
    _config.register_for_auto_class()
    _model.register_for_auto_class("AutoModelForAudioClassification")
MerProcessor.register_for_auto_class()
register_pipeline()
