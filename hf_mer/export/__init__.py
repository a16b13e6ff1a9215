"""Graphs without the package's code: ONNX, its int8 form, and `torch.export`; names are loaded when first used."""

from hf_mer.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "hf_mer.export.checks": ("ExportError",),
        "hf_mer.export.torch_model": ("ExportedProgramModel",),
        "hf_mer.export.onnx_model": ("OnnxMerModel",),
        "hf_mer.export.onnx_export": ("export_onnx",),
        "hf_mer.export.torch_export": ("export_torch",),
        "hf_mer.export.folder": ("load_exported",),
    },
)
