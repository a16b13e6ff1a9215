"""A checkpoint as an ONNX graph, with an int8 form; names are loaded when first used.

A program of `torch.export` is made by transformers itself, from a batch of two utterances or more:

```python
import torch
from transformers import AutoModelForAudioClassification
from transformers.exporters import DynamoConfig, DynamoExporter

import hf_mer.models  # registers the models; not needed with trust_remote_code=True
from hf_mer.models import MerProcessor

model = AutoModelForAudioClassification.from_pretrained("runs/le_mer/Ses05/model").eval()
processor = MerProcessor.from_pretrained("runs/le_mer/Ses05/model")
batch = processor(audio=["a.wav", "b.wav"], text=["So glad you came.", "No."])
exported = DynamoExporter().export(model, dict(batch), config=DynamoConfig(dynamic=True))
torch.export.save(getattr(exported, "program", exported), "model.pt2")  # 5.17: the program itself

program = torch.export.load("model.pt2").module()
logits = program(**batch).logits  # (B, C), for batches of any size and length
```

Such a program takes the inputs that it was made from, all of them: zeros, in the mask too, for an utterance that lacks
a modality. Speech has two frames of its encoder at least. Of exports, `hf-mer predict` runs ONNX graphs only.
"""

from hf_mer.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "hf_mer.export.comparing": ("ExportError",),
        "hf_mer.export.onnx_model": ("OnnxMerModel",),
        "hf_mer.export.onnx_export": ("export_onnx",),
    },
)
