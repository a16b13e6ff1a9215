"""`hf-mer labels`."""

import argparse
from typing import Any

from hf_mer.cli.help import add_command

EXAMPLES = """examples:
  hf-mer labels runs/le_mer/Ses05
  hf-mer labels my-name/le-mer-own --revision v1.0 --json
"""


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    labels = add_command(
        commands,
        "labels",
        _labels,
        "show the keywords and tonal codes (typical sounds) of each class",
        EXAMPLES,
    )
    labels.add_argument("checkpoint", help="folder of a fold or of its model, or repository on the Hub")
    labels.add_argument("--revision", help="branch, tag or commit of the repository")
    labels.add_argument("--top", type=int, default=9, help="words per class (default: 9)")
    labels.add_argument("--json", action="store_true", help="print everything as JSON")


def _labels(arguments: argparse.Namespace) -> None:
    from hf_mer.hub.errors import hub_errors
    from hf_mer.hub.loading import locate_checkpoint

    source = locate_checkpoint(arguments.checkpoint, arguments.revision, "label_store.json")
    from hf_mer.models.label_store import LabelEmbeddingStore
    from hf_mer.training.label_store.overlap import overlap_table

    with hub_errors(source, arguments.revision, writing=False):
        store = LabelEmbeddingStore.from_pretrained(source, revision=arguments.revision)
    if arguments.json:
        print(store.to_json_string())
    else:
        print(store.to_table(arguments.top), overlap_table(store), sep="\n\n")
