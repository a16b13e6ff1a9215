"""Weights in eight bits, and what that does to the decisions."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hf_mer.export.comparing import references
from hf_mer.export.onnx_graph import quiet
from hf_mer.export.source import Source
from hf_mer.export.utterances import Case, RandomUtterances

QUANTIZED = ("MatMul", "Gemm")  # convolutions and recurrent layers stay as they are
RANDOM_UTTERANCES = 32


def quantize(path: Path, out: Path) -> None:
    """Writes the graph with the weights of its matrix products in int8, each column with a scale of its own.

    Activations are quantised as they come (dynamically). Seven of the eight bits are used, since processors without
    VNNI overflow in the eighth.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    large = path.stat().st_size + sum(part.stat().st_size for part in path.parent.glob(f"{path.name}.*")) > 2**31
    model = onnx.load(path)
    del model.graph.value_info[:]  # shapes of weights that the quantiser is about to transpose
    with quiet():  # it advises a preparation that the exporter has done
        quantize_dynamic(
            model,
            out,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=large,
        )


def reference_logits(
    source: Source, random: RandomUtterances, utterances: Iterable[dict[str, Any]]
) -> dict[str, list[Case]]:
    """What the model says to random utterances and to those given, by kind.

    Args:
        source: The checkpoint.
        random: Of its inputs.
        utterances: Real ones, see `Source.batches`; may be none.
    """
    batches = {"random": random.sample(RANDOM_UTTERANCES), "given": source.batches(utterances)}
    cases = {kind: [Case(kind, batch) for batch in kept] for kind, kept in batches.items() if kept}
    return {kind: references(source.model, own, ("logits",)) for kind, own in cases.items()}


@torch.no_grad()
def differences(graph: Any, expected: list[Case]) -> dict[str, float]:
    """Utterances, largest and mean difference of the logits, largest of the scores, share with the same best label."""
    theirs: Tensor = torch.cat([case.outputs["logits"] for case in expected])  # (N, C)
    mine: Tensor = torch.cat([graph(**case.batch).logits for case in expected])
    difference = (mine - theirs).abs()
    return {
        "utterances": len(theirs),
        "largest_logit_difference": float(difference.max()),
        "mean_logit_difference": float(difference.mean()),
        "largest_score_difference": float((mine.softmax(-1) - theirs.softmax(-1)).abs().max()),
        "same_label": float((mine.argmax(-1) == theirs.argmax(-1)).float().mean()),
    }
