"""`hf-mer predict` and `hf-mer labels`."""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser's."""
    predict = commands.add_parser("predict", help="emotion of a recording or film, a sentence, or both")
    predict.add_argument("checkpoint", help="folder, or repository on the Hub")
    predict.add_argument(
        "file",
        nargs="?",
        help="sound, or a film, whose sound is heard and whose picture is seen by models that use video; leave out "
        "for text alone",
    )
    predict.add_argument("--text", help="what is said")
    predict.add_argument("--history", nargs="+", default=None, help="earlier utterances of the dialogue, oldest first")
    predict.add_argument("--start", type=float, help="seconds at which the utterance begins in the file")
    predict.add_argument("--end", type=float, help="seconds at which it ends")
    predict.add_argument("--side", choices=("left", "right"), help="half of a split screen that shows the speaker")
    predict.add_argument("--plot", type=Path, help="draw scores and label attention into this PNG, PDF or SVG")
    predict.add_argument("--json", action="store_true", help="print JSON, with the attention per word and frame")
    predict.set_defaults(run=_predict)

    labels = commands.add_parser("labels", help="keywords and tonal codes of every class of a checkpoint")
    labels.add_argument("checkpoint", help="folder, or repository on the Hub")
    labels.add_argument("--top", type=int, default=9, help="words per class (default: 9)")
    labels.add_argument("--json", action="store_true", help="print everything as JSON")
    labels.set_defaults(run=_labels)


def _predict(arguments: argparse.Namespace) -> None:
    if arguments.file is None and not arguments.text:
        raise ValueError("nothing to recognise: give a sound or video file, --text, or both")
    part = {name: getattr(arguments, name) for name in ("start", "end", "side")}
    if arguments.file is None and any(value is not None for value in part.values()):
        raise ValueError("--start, --end and --side are about a file: give one")
    from transformers.utils import logging

    from hf_mer.inference import load_recognizer

    logging.disable_progress_bar()
    recognise = load_recognizer(arguments.checkpoint)
    source = {"path": arguments.file, **part} if any(value is not None for value in part.values()) else arguments.file
    row = {"audio": source, "text": arguments.text, "history": arguments.history}
    prediction = recognise(row, return_attention=True)
    if arguments.json:
        print(json.dumps(prediction, indent=2, ensure_ascii=False))
    else:
        _print_scores(prediction["scores"])
    if arguments.plot:
        _plot_prediction(recognise, row, prediction, arguments.plot)
        print(f"figure: {arguments.plot}", file=sys.stderr if arguments.json else sys.stdout)


def _print_scores(scores: list[dict[str, Any]]) -> None:
    width = max(len(item["label"]) for item in scores)
    for item in scores:
        print(f"{item['label']:<{width}}  {item['score']:.3f}  {'█' * round(30 * item['score'])}")


def _plot_prediction(recognise: Any, row: dict[str, Any], prediction: dict[str, Any], path: Path) -> None:
    from hf_mer.models.audio_mer import AudioError, load_audio
    from hf_mer.plots.prediction import prediction_figure
    from hf_mer.training.figures import save_figure

    processor, config = recognise.processor, recognise.model.config
    waveform = None
    if row["audio"] is not None and "speech" in config.modalities:
        with contextlib.suppress(AudioError):  # a film without sound
            waveform = load_audio(row["audio"], processor.sampling_rate, max_seconds=processor.max_audio_seconds)
    labels = [config.id2label[index] for index in range(config.num_labels)]
    path_of = row["audio"]["path"] if isinstance(row["audio"], dict) else row["audio"]
    title = Path(path_of).name if path_of else None
    save_figure(
        prediction_figure(prediction, labels, waveform=waveform, sampling_rate=processor.sampling_rate, title=title),
        path,
    )


def _labels(arguments: argparse.Namespace) -> None:
    from hf_mer.models.label_store import LabelEmbeddingStore

    store = LabelEmbeddingStore.from_pretrained(arguments.checkpoint)
    print(store.to_json_string() if arguments.json else store.to_table(arguments.top))
