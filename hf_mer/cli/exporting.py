"""`hf-mer export`."""

import argparse
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command, add_encoding, add_overwrite

EXAMPLES = """examples:
  hf-mer export runs/le_mer/Ses05 exported
  hf-mer export runs/le_mer/Ses05 exported --int8 --utterances corpus.csv
  hf-mer predict exported hello.wav --text "I am so glad you came"
  hf-mer predict exported/model_int8.onnx hello.wav
"""


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    help_of_export = "export a checkpoint to ONNX and verify the outputs"
    export = add_command(commands, "export", _export, help_of_export, EXAMPLES)
    export.add_argument("checkpoint", help="folder of a fold or of its model, or repository on the Hub")
    export.add_argument("out", type=Path, help="folder to write; an earlier export there is replaced")
    add_overwrite(export)
    export.add_argument("--int8", action="store_true", help="also write an int8 graph (8-bit matrix products)")
    export.add_argument("--opset", type=int, help="ONNX opset, 18 to 23 (default: 20)")
    export.add_argument(
        "--utterances",
        metavar="CORPUS",
        help="manifest or folder of labelled utterances, as for `hf-mer prepare manifest`, to compare the int8 graph "
        "with the model",
    )
    add_encoding(export)
    export.add_argument("--limit", type=int, default=100, help="number of utterances to compare (default: 100)")
    export.add_argument("--tolerance", type=float, help="largest accepted difference from the model (default: 1e-4)")
    export.add_argument("--revision", help="branch, tag or commit of the repository")


def _export(arguments: argparse.Namespace) -> None:
    if arguments.utterances and not arguments.int8:
        raise ValueError("--utterances is used only with --int8: give --int8 too")
    from transformers.utils import logging

    from hf_mer.export import export_onnx

    logging.disable_progress_bar()
    given = {name: getattr(arguments, name) for name in ("opset", "tolerance", "revision")}
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    utterances = _utterances(arguments.utterances, arguments.limit, arguments.encoding)
    description = export_onnx(
        arguments.checkpoint,
        arguments.out,
        int8=arguments.int8,
        utterances=utterances,
        overwrite=arguments.overwrite,
        **settings,
    )
    _print_description(arguments.out, description)


def _utterances(source: str | None, limit: int, encoding: str) -> list[dict[str, Any]]:
    if source is None:
        return []
    if limit < 1:
        raise ValueError(f"--limit {limit} must be at least 1")
    from hf_mer.data.corpora.manifest import load_corpus

    rows = load_corpus(source, encoding=encoding)
    count = min(limit, len(rows))
    return [rows[index * len(rows) // count] for index in range(count)]


def _print_description(out: Path, description: dict[str, Any]) -> None:
    differences = description["differences"]
    print(f"PyTorch          {_megabytes(description['pytorch_bytes'])}")
    for name, size in description["sizes"].items():
        print(f"{name:<16} {_megabytes(size)}")
    largest = ", ".join(f"{name} {value:.1e}" for name, value in differences["largest"].items())
    print(f"largest difference from PyTorch in {differences['cases']} random batches: {largest}")
    for kind, measured in description.get("int8", {}).items():
        print(
            f"int8, {measured['utterances']} {kind} utterances: same label for {measured['same_label']:.1%}, scores "
            f"within {measured['largest_score_difference']:.3f}, logits within "
            f"{measured['largest_logit_difference']:.3f} (mean {measured['mean_logit_difference']:.3f})"
        )
    print(out)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:9.2f} MB"
