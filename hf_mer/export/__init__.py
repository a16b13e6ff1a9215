"""Graphs without the package's code: ONNX, its int8 form, and `torch.export`; names are loaded when first used."""

import importlib
from typing import Any

_EXPORTS = {
    "ExportError": "hf_mer.export.checks",
    "ExportedProgramModel": "hf_mer.export.torch_model",
    "OnnxMerModel": "hf_mer.export.onnx_model",
    "export_onnx": "hf_mer.export.onnx_export",
    "export_torch": "hf_mer.export.torch_export",
    "load_exported": "hf_mer.export.folder",
}

__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
