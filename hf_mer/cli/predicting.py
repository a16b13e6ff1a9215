"""`hf-mer predict`."""

import argparse
import contextlib
import shutil
import sys
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command, add_encoding, column_names
from hf_mer.console import readable
from hf_mer.files import check_replaceable, json_text

EXAMPLES = """examples:
  hf-mer predict runs/le_mer/Ses05 hello.wav --text "I am so glad you came" --explain
  hf-mer predict runs/le_mer/Ses05 hello.wav --text "I am so glad you came" --plot why.png
  hf-mer predict runs/le_mer/Ses05 --text "Leave me alone" --history "What happened?"
  hf-mer predict my-name/le-mer-own hello.wav --revision v1.0          # from the Hub
  hf-mer predict runs/wavfusion/official scene.mp4 --start 3.2 --end 5.0
  hf-mer predict runs/le_mer/Ses05 call.wav --asr openai/whisper-tiny  # recognises the words first
  hf-mer predict runs/le_mer/Ses05 call.wav --window 8 --hop 4         # a timeline of a long recording
  hf-mer predict runs/le_mer/Ses05 recordings/ --out predictions.csv --batch-size 16
  hf-mer predict runs/le_mer/Ses05 calls.csv --out predictions.jsonl --on-bad skip
  accelerate launch --multi_gpu --num_processes 4 -m hf_mer.cli predict runs/le_mer/Ses05 recordings/ --out predictions.csv

Tables (CSV, TSV, JSON lines) have a column audio or video with files relative to the table, text, and history or
dialogue and turn; --columns gives other names. Predictions are saved every few batches, for CSV in OUT.rows.jsonl: the
same command continues after a kill if checkpoint, settings, inputs and recordings are the same. In CSV, cells that a
spreadsheet would run as formulas begin with '.

--explain says how much each modality, word, segment of sound and span of video changes the probability of a class: x2
doubles it, /2 halves it. It takes a second or more for an utterance. JSON and JSON lines contain all values, natural
logarithms of these factors, with their standard errors; CSV contains those of the modalities (value_text, ...).

Processes of accelerate launch (--multi_gpu also for CPUs, then with --device cpu) share the inputs. Each writes a part in
OUT.parts; the main one joins them. The same command continues after a kill, with any number of processes.
"""  # noqa: E501
_ONE = ("text", "history", "start", "end", "side", "plot")


def add_commands(commands: Any) -> None:
    """Adds the command to the parser's."""
    predict = add_command(
        commands,
        "predict",
        _predict,
        "predict the emotion of recordings, videos, text or whole tables",
        EXAMPLES,
    )
    predict.add_argument("checkpoint", help="folder of a fold or of its model, or repository on the Hub")
    predict.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="audio or video file, a folder of them, or a table; omit for text alone (models without video use only "
        "the sound of a video)",
    )
    one = predict.add_argument_group("one utterance")
    one.add_argument("--text", help="transcript of the utterance")
    one.add_argument("--history", nargs="+", default=None, help="earlier utterances of the dialogue, oldest first")
    one.add_argument("--start", type=float, help="start of the utterance in the file, in seconds")
    one.add_argument("--end", type=float, help="end of the utterance, in seconds")
    one.add_argument("--side", choices=("left", "right"), help="half of a split screen that shows the speaker")
    one.add_argument("--plot", type=Path, help="plot scores and the explanation, or with --window the "
                     "timeline, to this PNG, PDF or SVG file")  # fmt: skip
    many = predict.add_argument_group("many inputs")
    many.add_argument("--out", type=Path, help="CSV or JSON-lines file (default: standard output)")
    many.add_argument("--overwrite", action="store_true", help="overwrite --out instead of resuming, and a --plot "
                      "file that this command did not write")  # fmt: skip
    many.add_argument("--on-bad", choices=("raise", "skip"), default="raise", help="unusable inputs: stop (default), "
                      "or continue and give the reason in the column error")  # fmt: skip
    many.add_argument("--columns", type=column_names, help='column names of a table: \'{"audio": "clip"}\'')
    add_encoding(many)
    many.add_argument("--batch-size", type=int, default=8, help="utterances per batch (default: 8)")
    scores = predict.add_argument_group("scores")
    scores.add_argument("--top-k", type=int, help="number of classes to print (default: all)")
    scores.add_argument("--threshold", type=float, help="no label below this score")
    scores.add_argument(
        "--window", type=float, metavar="SECONDS", help="split long recordings into windows of this length"
    )
    scores.add_argument("--hop", type=float, metavar="SECONDS", help="hop between windows (default: half a window)")
    scores.add_argument(
        "--asr", metavar="NAME", help="speech recognition checkpoint (folder or repository) for missing words"
    )
    scores.add_argument("--json", action="store_true", help="print JSON")
    why = predict.add_argument_group("explanation")
    why.add_argument("--explain", action="store_true", help="also show what the prediction is based on")
    why.add_argument("--explain-class", metavar="CLASS", help="class to explain (default: the predicted one)")
    why.add_argument(
        "--explain-budget", type=int, metavar="N", help="forward passes per utterance; more give smaller errors "
        "(default: 1000)"
    )  # fmt: skip
    machine = predict.add_argument_group("model")
    machine.add_argument("--revision", help="branch, tag or commit of the repository")
    machine.add_argument("--device", help="device, such as cpu, cuda or cuda:1")
    machine.add_argument("--dtype", help="data type of the weights, such as float32 or bfloat16 (default: as saved)")


def _predict(arguments: argparse.Namespace) -> None:
    from hf_mer.prediction.processes import Team
    from hf_mer.prediction.sources import is_single

    team = Team()
    with team.one_voice():
        _check(arguments)
        if team.number > 1 and (arguments.out is None or not arguments.inputs):
            raise ValueError(f"{team.number} processes share the inputs and write one file: give INPUT and --out")
        one = len(arguments.inputs) < 2 and (not arguments.inputs or is_single(arguments.inputs))
        if one and arguments.out is None:
            _predict_one(arguments)
        else:
            _predict_many(arguments, team)


def _check(arguments: argparse.Namespace) -> None:
    if not arguments.inputs and not arguments.text:
        raise ValueError("nothing to recognise: give an audio or video file, --text, or both")
    for name in ("text", "history"):
        given = getattr(arguments, name) or []
        for said in [given] if isinstance(given, str) else given:
            if readable(said) != said:
                raise ValueError(f"--{name} '{readable(said)}' is not valid UTF-8")
    part = any(getattr(arguments, name) is not None for name in ("start", "end", "side"))
    if not arguments.inputs and part:
        raise ValueError("--start, --end and --side need a file: give one")
    if arguments.hop is not None and arguments.window is None:
        raise ValueError("--hop needs --window: give both")
    if arguments.batch_size < 1:
        raise ValueError(f"--batch-size {arguments.batch_size} must be at least 1")
    if arguments.plot is not None:
        check_replaceable([arguments.plot], arguments.overwrite)
    if arguments.out is not None:
        _check_out(arguments.out, arguments)


def _check_out(out: Path, arguments: argparse.Namespace) -> None:
    if arguments.json and out.suffix.lower() == ".csv":
        raise ValueError(f"--json does not go with --out {out}, which is CSV: name a .jsonl file, or omit --json")
    for name in arguments.inputs:
        if Path(name).expanduser().resolve() == out.resolve():
            raise ValueError(f"--out {out} is one of the inputs: name another file")


def _load(arguments: argparse.Namespace) -> Any:
    from transformers.utils import logging

    from hf_mer.prediction.load import load_recognizer

    logging.disable_progress_bar()
    settings = {name: getattr(arguments, name) for name in ("revision", "device", "dtype", "asr")}
    return load_recognizer(arguments.checkpoint, **settings)


def _say_if_demonstration(arguments: argparse.Namespace) -> None:
    from hf_mer.hub.training_corpus import DEMONSTRATION, corpus_of

    if corpus_of(arguments.checkpoint, arguments.revision).generated:
        print(f"note: {DEMONSTRATION}", file=sys.stderr)


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of the pipeline's call; what is not given is left to it."""
    names = {"top_k": "top_k", "threshold": "threshold", "window": "window_seconds", "hop": "hop_seconds"}
    given = {own: getattr(arguments, name) for name, own in names.items()}
    asked = {"label": arguments.explain_class, "budget": arguments.explain_budget}
    asked = {name: value for name, value in asked.items() if value is not None}
    drawn = arguments.plot is not None and arguments.window is None  # what `--plot` draws is an explanation
    if asked or arguments.explain or drawn:
        given["explain"] = asked or True
    return {name: value for name, value in given.items() if value is not None}


def _predict_one(arguments: argparse.Namespace) -> None:
    recognise = _load(arguments)
    _say_if_demonstration(arguments)
    file = arguments.inputs[0] if arguments.inputs else None
    part = {name: getattr(arguments, name) for name in ("start", "end", "side")}
    source = {"path": file, **part} if any(value is not None for value in part.values()) else file
    row = {name: value for name, value in (("audio", source), ("text", arguments.text), ("history", arguments.history))
           if value is not None}  # fmt: skip
    settings = {"threshold": 0.0, **_settings(arguments)}
    if "explain" in settings and arguments.window is not None:
        settings["progress"] = sys.stderr.isatty()
    prediction = recognise(row, **settings)
    if arguments.json:
        print(json_text(prediction, indent=2))
    else:
        _print_prediction(prediction, arguments.threshold)
        if "explanation" in prediction and (arguments.explain or isinstance(settings["explain"], dict)):
            _print_explanation(prediction["explanation"], _waveform(recognise, row))
    if arguments.plot:
        if arguments.window:
            _plot_timeline(recognise, prediction, arguments)
        else:
            _plot_explanation(recognise, row, prediction, arguments.plot)
        print(f"figure: {arguments.plot}", file=sys.stderr if arguments.json else sys.stdout)


def _predict_many(arguments: argparse.Namespace, team: Any) -> None:
    from hf_mer.prediction import PredictionFile, collect_units, predict_all
    from hf_mer.prediction.content import checkpoint_content
    from hf_mer.prediction.parts import SharedPredictions
    from hf_mer.prediction.runner import block_size, output_columns
    from hf_mer.prediction.sources import MAX_HISTORY
    from hf_mer.version import __version__

    if foreign := [f"--{name}" for name in _ONE if getattr(arguments, name) is not None]:
        raise ValueError(f"{', '.join(foreign)}: for one recording only; for many, use columns of a table")
    arguments.device = team.join(arguments.device)
    what = (arguments.inputs, arguments.columns, arguments.asr is not None, arguments.encoding)
    units = collect_units(*what)  # before the checkpoint, which may take minutes to come
    with team.main_first():
        recognise = _load(arguments)
    if recognise.processor.max_history > MAX_HISTORY:
        units = collect_units(*what, recognise.processor.max_history)
    if team.is_main:
        _say_if_demonstration(arguments)
    options = _settings(arguments)
    columns = output_columns(
        units,
        recognise.labels,
        windows=arguments.window is not None,
        words=arguments.asr is not None,
        errors=arguments.on_bad == "skip",
        explained=recognise.model.config.modalities if "explain" in options else (),
    )
    checkpoint = checkpoint_content(arguments.checkpoint, arguments.revision)
    depends: dict[str, Any] = {"hf_mer": __version__, "checkpoint": checkpoint}
    depends["columns"] = [name for name in columns if name != "error"]  # what was skipped or not is in the rows
    depends |= {"asr": arguments.asr and checkpoint_content(arguments.asr), "dtype": arguments.dtype, **options}
    table = PredictionFile(arguments.out, columns, depends, "jsonl" if arguments.json else None)
    slow = arguments.window is not None or "explain" in options  # each of them is kept and shown
    block = block_size(arguments.batch_size, slow)
    heard = recognise.processor.max_audio_seconds if arguments.window is None else None
    output = SharedPredictions(table, team, block, arguments.batch_size, heard) if team.number > 1 else table
    settings = {"batch_size": arguments.batch_size, "on_bad": arguments.on_bad, "overwrite": arguments.overwrite}
    progress = sys.stderr.isatty() and team.is_main
    number, failed = predict_all(recognise, units, output, progress=progress, **settings, **options)
    if team.is_main:
        print(_summary(arguments.out, number, failed, output.new, team.number), file=sys.stderr)


def _summary(out: Path | None, number: int, failed: int, new: int, processes: int) -> str:
    """What there is after a run: inputs, those of them that could not be used, and how many this run had to do."""
    if not new:
        return f"nothing left to do: {out} has predictions of {number - failed} of {number} inputs"
    parts = [f"{number - failed} predictions in {out or 'standard output'}"]
    if processes > 1:
        parts.append(f"by {processes} processes")
    if failed:
        parts.append(f"{failed} of {number} inputs unusable (see the column error)")
    return ", ".join(parts)


def _print_prediction(prediction: dict[str, Any], threshold: float | None) -> None:
    if prediction.get("text"):
        print(f"recognised: {prediction['text']}")
    scores = prediction["scores"]
    width = max(len(item["label"]) for item in scores)
    for item in scores:
        print(f"{item['label']:<{width}}  {item['score']:.3f}  {'█' * round(30 * item['score'])}")
    if prediction["label"] is None:
        below = threshold is not None and scores[0]["score"] < threshold
        print(f"no label: no score is {threshold:g} or more" if below else "no label: the input is silent")
    for window in prediction.get("timeline", ()):
        best, label = window["scores"][0], window["label"] or "-"
        words = f"  {window['text']}" if window.get("text") else ""
        told = f"{window['start']:8.1f} - {window['end']:6.1f} s  {label:<{width}}  {best['score']:.3f}"
        print(f"{told}  {'█' * round(30 * best['score']):<30}{words}".rstrip())
        if "explanation" in window:
            _print_explanation(window["explanation"])


def _print_explanation(explanation: dict[str, Any], waveform: Any = None) -> None:
    from hf_mer.cli.explaining import explanation_lines, has_colours

    width = shutil.get_terminal_size().columns
    print("", *explanation_lines(explanation, waveform, has_colours(), width), sep="\n")


def _plot_timeline(recognise: Any, prediction: dict[str, Any], arguments: argparse.Namespace) -> None:
    from hf_mer.files import save_figure
    from hf_mer.locks import exclusive
    from hf_mer.plots.timeline import prediction_timeline

    figure = prediction_timeline(prediction, recognise.labels, arguments.threshold)
    with exclusive(arguments.plot):
        save_figure(figure, arguments.plot)


def _waveform(recognise: Any, row: dict[str, Any]) -> Any:
    """Samples of an utterance as its model hears them; None where there are none, or the model takes no speech."""
    from hf_mer.models.audio_mer import AudioError, load_audio
    from hf_mer.models.notes_mer import collected_notes

    processor, audio = recognise.processor, row.get("audio")
    if audio is not None and "speech" in recognise.model.config.modalities:
        with contextlib.suppress(AudioError), collected_notes():  # a video without sound; the answer has said the rest
            return load_audio(audio, processor.sampling_rate, max_seconds=processor.max_audio_seconds)
    return None


def _plot_explanation(recognise: Any, row: dict[str, Any], prediction: dict[str, Any], path: Path) -> None:
    from hf_mer.files import save_figure
    from hf_mer.locks import exclusive
    from hf_mer.plots.explanation import explanation_figure

    audio = row.get("audio")
    path_of = audio["path"] if isinstance(audio, dict) else audio
    scores = {item["label"]: item["score"] for item in prediction["scores"]}
    figure = explanation_figure(
        prediction["explanation"],
        recognise.labels,
        [scores.get(label, 0.0) for label in recognise.labels],
        waveform=_waveform(recognise, row),
        sampling_rate=recognise.processor.sampling_rate,
        title=readable(Path(path_of).name) if path_of else None,
    )
    with exclusive(path):
        save_figure(figure, path)
