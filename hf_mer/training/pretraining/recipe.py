"""The second stage as a script: settings in, one encoder per fold out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_mer.training.pretraining.arguments import PretrainingArguments, SpeechEncoderArguments
from hf_mer.training.recipe import a_script, set_verbosity, settings_read
from hf_mer.training.settings.arguments import DataArguments
from hf_mer.training.settings.parsing import parse_arguments


def run_pretraining(argv: Sequence[str] | None = None) -> None:
    """Reads the settings and trains the encoders; leaves the program with one line if that is not possible.

    Args:
        argv: The command line; `sys.argv[1:]` if not given.
    """
    types = [SpeechEncoderArguments, DataArguments, PretrainingArguments]
    with a_script() as folders:
        with settings_read():
            encoder, data, arguments = parse_arguments(types, argv)
        from hf_mer.hub.errors import hub_or_cache
        from hf_mer.training.encoder_weights import check_encoder_weights
        from hf_mer.training.required_checkpoints import remote_checkpoints, require_checkpoints

        folders.append(Path(str(arguments.output_dir)))
        set_verbosity(arguments)
        with hub_or_cache(bool(remote_checkpoints(encoder))):
            require_checkpoints(encoder)
            with settings_read():
                check_encoder_weights(encoder)
            pretrain_folds(encoder, data, arguments)


def pretrain_folds(
    encoder: SpeechEncoderArguments, data_arguments: DataArguments, arguments: PretrainingArguments
) -> dict[str, Path]:
    """Trains the encoder of every fold that was asked for, into `<output_dir>/<fold>`.

    Returns:
        Folders by fold.
    """
    from hf_mer.training.corpus import chosen_folds, load_rows, protocol_folds
    from hf_mer.training.pretraining.fold import pretrain_fold

    with arguments.main_process_first(desc="loading the corpus"):
        rows = load_rows(data_arguments, ["speech"])
    folds = chosen_folds(protocol_folds(rows, data_arguments, arguments.seed), data_arguments)
    output_dir = Path(str(arguments.output_dir))
    given = (encoder.speech_encoder, encoder.speech_overrides, encoder.feature_extractor)
    folders = {
        fold.name: pretrain_fold(*given, data_arguments, arguments, rows, fold, output_dir / fold.name)
        for fold in folds
    }
    if arguments.process_index == 0:
        print(_table(folders))
    return folders


def _table(folders: dict[str, Path]) -> str:
    """Losses and metrics of every fold at its end, in Markdown."""
    from hf_mer.training.pretraining.fold import RESULTS

    lines: list[str] = []
    for fold, folder in folders.items():
        content = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        last: dict[str, Any] = {}
        for entry in content["history"]:
            last.update(entry)
        shown = ("loss", "eval_loss", "masked_accuracy", "codebook_perplexity", "unit_perplexity")
        figures = [f"{last[name]:.3f}" if name in last else "" for name in shown]
        if not lines:
            lines = [f"| fold | {' | '.join(shown)} | minutes |", "|---" * (len(shown) + 2) + "|"]
        lines.append(f"| {fold} | {' | '.join(figures)} | {content['minutes']} |")
    return "\n".join(lines)
