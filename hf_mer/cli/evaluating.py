"""`hf-mer evaluate`."""

import argparse
import json
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command, add_encoding, add_overwrite, column_names, corpus_names

EXAMPLES = """examples:
  hf-mer evaluate runs/le_mer/Ses05 --corpus iemocap --data-dir /data/IEMOCAP_full_release --out conditions
  hf-mer evaluate runs/wavfusion/official --corpus meld --data-dir /data/MELD.Raw --split dev --out conditions
  hf-mer evaluate runs/ravdess/group1 --corpus ravdess --data-dir /data/RAVDESS --out conditions
  hf-mer evaluate my-name/le-mer-calls --corpus manifest --data-dir calls.csv --split all --noises white
  hf-mer evaluate runs/wavfusion/official --corpus manifest --data-dir calls.csv --label-map happy=joy,calm=
  hf-mer evaluate runs/dropout/group1 --corpus manifest --data-dir calls.csv --out dropout --beside "none=conditions"
"""


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    evaluate = add_command(
        commands,
        "evaluate",
        _evaluate,
        "evaluate a checkpoint with missing modalities, word errors, noise and short clips",
        EXAMPLES,
    )
    evaluate.add_argument("checkpoint", help="folder of a fold or of its model, or repository on the Hub")
    evaluate.add_argument("--revision", help="branch, tag or commit of the repository")
    evaluate.add_argument("--device", help="device, such as cuda or cpu (default: a GPU if there is one)")
    evaluate.add_argument("--out", type=Path, default=Path("conditions"), help="output folder (default: conditions)")
    add_overwrite(evaluate)
    _add_corpus(evaluate.add_argument_group("corpus"))
    _add_conditions(evaluate.add_argument_group("conditions"))
    figures = evaluate.add_argument_group("figures")
    figures.add_argument("--score", choices=("wa", "ua", "wf1"), default="ua", help="score to plot (default: ua)")
    figures.add_argument("--name", help="name of the checkpoint in the figures (default: its system)")
    figures.add_argument(
        "--beside",
        nargs="+",
        default=[],
        metavar="NAME=FOLDER",
        help="output folders of earlier evaluations, to plot and list beside this one",
    )


def _add_corpus(group: Any) -> None:
    group.add_argument(
        "--corpus",
        required=True,
        type=corpus_names,
        help="iemocap, meld, manifest, a public corpus (crema_d, emodb, nemo, ravdess), or a YAML file that "
        "describes one; it may be the training corpus or another one",
    )
    group.add_argument(
        "--data-dir",
        "--data_dir",
        required=True,
        help="folder of the release, or a table (CSV, TSV, JSON lines) or folder of recordings",
    )
    group.add_argument("--task", help="classes of IEMOCAP (4class, 6class) or MELD (emotion, sentiment)")
    group.add_argument("--columns", type=column_names, help="column names of a manifest, as JSON")
    add_encoding(group)
    group.add_argument("--labels", nargs="+", help="classes of a manifest")
    group.add_argument(
        "--label-map",
        "--label_map",
        metavar="CORPUS_LABEL=CLASS,...",
        help="the checkpoint's class for each label of the corpus, such as happy=joy,calm= (calm rows ignored)",
    )
    group.add_argument("--no-history", "--no_history", action="store_true", help="ignore earlier utterances")
    group.add_argument(
        "--skip-bad",
        "--skip_bad",
        action="store_true",
        help="ignore unusable recordings instead of stopping",
    )
    group.add_argument(
        "--split",
        help="official split (dev, test) or all (default: the test split of the checkpoint's fold if its "
        "predictions.csv is there, else all rows)",
    )
    group.add_argument(
        "--protocol", help="evaluation protocol, such as leave_one_session_out; evaluates on the test split of --fold"
    )
    group.add_argument("--fold", help="name or position of a fold of the protocol")
    group.add_argument("--test-session", "--test_session", help="test session, with --protocol fixed_session")
    group.add_argument("--group-column", "--group_column", help="column that names the groups, with --protocol groups")


def _add_conditions(group: Any) -> None:
    group.add_argument(
        "--word-error-rates",
        "--word_error_rates",
        nargs="*",
        type=float,
        metavar="RATE",
        help="word error rates to test (default: 0.1 0.2 0.4 0.6)",
    )
    group.add_argument(
        "--word-error-shares",
        "--word_error_shares",
        nargs=3,
        type=float,
        metavar=("DEL", "SUB", "INS"),
        help="shares of deletions, substitutions and insertions among the errors (default: 0.2 0.6 0.2)",
    )
    group.add_argument(
        "--noises", nargs="*", metavar="NOISE", help="noises to add (default: white babble; no value: none)"
    )
    group.add_argument(
        "--snrs", nargs="*", type=float, metavar="DB", help="signal-to-noise ratios in dB (default: 20 10 5 0)"
    )
    group.add_argument(
        "--seconds",
        nargs="*",
        type=float,
        metavar="S",
        help="seconds to keep of a clip (default: 4 2 1 0.5)",
    )
    group.add_argument("--seed", type=int, default=0, help="seed of word errors, noise and bootstrap (default: 0)")
    group.add_argument("--batch-size", "--batch_size", type=int, default=16, help="utterances per batch (default: 16)")
    group.add_argument("--resamples", type=int, default=1000, help="number of bootstrap resamples (default: 1000)")


def _evaluate(arguments: argparse.Namespace) -> None:
    beside = dict(_beside(item) for item in arguments.beside)
    _check_out(arguments.out, arguments.overwrite)
    from transformers.utils import logging

    from hf_mer.evaluation import evaluate_conditions
    from hf_mer.evaluation.condition_figures import draw_conditions
    from hf_mer.evaluation.evaluating import data_settings
    from hf_mer.evaluation.report import comparison_table, conditions_table, write_report
    from hf_mer.evaluation.rows import RowSettings, training_results
    from hf_mer.hub.cards.facts import SYSTEMS
    from hf_mer.prediction.load import load_recognizer
    from hf_mer.training.group_scores import groups_table

    logging.disable_progress_bar()
    if arguments.labels and arguments.label_map:
        raise ValueError("--labels cannot be used with --label-map: the classes are those of the checkpoint")
    protocol = {name: getattr(arguments, name) for name in ("test_session", "group_column")}
    given = {name: value for name, value in protocol.items() if value is not None}
    settings = _settings(arguments)
    chosen = RowSettings(arguments.split, arguments.protocol, arguments.fold, given)
    trained = training_results(arguments.checkpoint)
    data = data_settings(
        trained,
        arguments.data_dir,
        arguments.corpus,
        task=arguments.task,
        columns=arguments.columns,
        encoding=arguments.encoding,
        labels=arguments.labels,
        label_map=arguments.label_map,
        use_history=False if arguments.no_history else None,
        on_bad_audio="skip" if arguments.skip_bad else None,
    )
    folder = Path(arguments.checkpoint) / "model"
    checkpoint = str(folder) if (folder / "config.json").is_file() else arguments.checkpoint
    recognizer = load_recognizer(checkpoint, revision=arguments.revision, device=arguments.device)
    report = evaluate_conditions(
        recognizer,
        data,
        settings=settings,
        chosen=chosen,
        trained=trained,
        batch_size=arguments.batch_size,
        num_resamples=arguments.resamples,
    )
    name = arguments.name or SYSTEMS[report["model"]["type"]]["title"]
    reports = {**beside, name: report}
    written = [*write_report(arguments.out, report), *draw_conditions(arguments.out, reports, arguments.score)]
    print(conditions_table(report["conditions"]))
    if groups := groups_table(report["by_group"]):
        print(f"\n{groups}")
    if beside:
        print("\n" + comparison_table(reports, arguments.score))
    print("\n" + "\n".join(str(path) for path in written if path.suffix in (".md", ".csv", ".json", ".png")))


def _check_out(folder: Path, overwrite: bool) -> None:
    """Refuses to write into a folder where files of these names are no evaluation's."""
    from hf_mer.evaluation.condition_figures import FIGURES
    from hf_mer.evaluation.report import FILES, is_report
    from hf_mer.files import check_replaceable

    figures = [folder / f"{name}{suffix}" for name in FIGURES for suffix in (".png", ".pdf", ".csv")]
    check_replaceable([*([] if is_report(folder) else [folder / name for name in FILES]), *figures], overwrite)


def _settings(arguments: argparse.Namespace) -> Any:
    from hf_mer.evaluation import ConditionSettings

    names = ("word_error_rates", "word_error_shares", "noises", "snrs", "seconds")
    given = {name: getattr(arguments, name) for name in names}
    if arguments.batch_size < 1 or arguments.resamples < 1:
        raise ValueError("--batch_size and --resamples must be at least 1")
    return ConditionSettings(
        **{name: tuple(value) for name, value in given.items() if value is not None}, seed=arguments.seed
    )


def _beside(item: str) -> tuple[str, dict[str, Any]]:
    """Name and report of an earlier evaluation."""
    name, equals, folder = item.partition("=")
    path = Path(folder) / "conditions.json"
    if not (name and equals and path.is_file()):
        raise ValueError(f"--beside {item}: must be NAME=FOLDER, a folder with the conditions.json of an evaluation")
    return name, json.loads(path.read_text(encoding="utf-8"))
