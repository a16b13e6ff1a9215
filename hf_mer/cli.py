"""`hf-mer`: thin commands over the package. Heavy imports wait until a command runs."""

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_mer.version import __version__

EXAMPLES = """examples:
  hf-mer demo --out demo
  hf-mer predict runs/le_mer/Ses05/model hello.wav --text "I am so glad you came" --plot attention.png
  hf-mer predict runs/le_mer/Ses05/model --text "Leave me alone" --history "What happened?"
  hf-mer predict runs/wavfusion/model scene.mp4 --start 3.2 --end 5.0
  hf-mer labels runs/le_mer/Ses05/model
  hf-mer prepare iemocap /data/IEMOCAP_full_release prepared --task 4class
  hf-mer prepare meld /data/MELD.Raw prepared --task sentiment
  hf-mer prepare manifest corpus.csv prepared --columns '{"audio": "file", "label": "emotion"}'
  hf-mer generate corpus --num-utterances 1500
  hf-mer generate corpus --num-utterances 1500 --language pl
  hf-mer generate corpus --layout meld --num-proc 2
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit status: 0, or 1 with one line on standard error.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, ImportError) as error:
        if arguments.debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hf-mer",
        description="Multimodal emotion recognition: LE-MER on Hugging Face.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hf-mer {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="generate a corpus, train, score, predict and draw, in a few minutes")
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder for everything (default: demo)")
    demo.set_defaults(run=_demo)

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

    prepare = commands.add_parser("prepare", help="check a corpus and write a folder that load_dataset reads")
    prepare.add_argument("kind", choices=("iemocap", "meld", "manifest"), help="what the source is")
    prepare.add_argument("source", help="root of the release, or a CSV, JSON-lines file or audio folder")
    prepare.add_argument("out", type=Path, help="folder to write")
    prepare.add_argument("--task", help="classes of IEMOCAP (4class, 6class) or MELD (emotion, sentiment)")
    prepare.add_argument("--columns", type=json.loads, default=None, help="names of a manifest's columns, as JSON")
    prepare.add_argument("--check-video", action="store_true", help="look at the picture of every clip too")
    prepare.add_argument("--skip-bad", action="store_true", help="leave unusable recordings out instead of stopping")
    prepare.add_argument("--overwrite", action="store_true", help="replace an earlier prepared folder")
    prepare.set_defaults(run=_prepare)

    generate = commands.add_parser("generate", help="write the generated corpus, whose right answer is known")
    generate.add_argument("out", type=Path, help="folder to write")
    generate.add_argument(
        "--layout",
        choices=("iemocap", "meld"),
        default="iemocap",
        help="iemocap: sessions, wav, words and voice; meld: official splits, mp4, words, voice and face",
    )
    generate.add_argument(
        "--num-utterances", type=int, default=1500, help="iemocap: of the four classes; meld: in train, dev and test"
    )
    generate.add_argument(
        "--language", choices=("en", "de", "pl", "zh"), default="en", help="of the words; iemocap only (default: en)"
    )
    generate.add_argument(
        "--cue-reliability", type=float, default=0.9, help="how often a cue agrees with the label (default: 0.9)"
    )
    generate.add_argument(
        "--history-share", type=float, default=0.2, help="utterances that only the history tells (default: 0.2)"
    )
    generate.add_argument("--seed", type=int, default=0)
    generate.add_argument("--num-proc", type=int, default=1, help="processes (default: 1)")
    generate.set_defaults(run=_generate)
    return parser


def _demo(arguments: argparse.Namespace) -> None:
    from hf_mer.demo import run_demo

    run_demo(arguments.out)


def _predict(arguments: argparse.Namespace) -> None:
    if arguments.file is None and not arguments.text:
        raise ValueError("nothing to recognise: give a sound or video file, --text, or both")
    part = {name: getattr(arguments, name) for name in ("start", "end", "side")}
    if arguments.file is None and any(value is not None for value in part.values()):
        raise ValueError("--start, --end and --side are about a file: give one")
    from transformers import pipeline
    from transformers.utils import logging

    from hf_mer.models import PIPELINE_TASK

    logging.disable_progress_bar()
    recognise = pipeline(PIPELINE_TASK, model=arguments.checkpoint)
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


def _prepare(arguments: argparse.Namespace) -> None:
    from hf_mer.data.check_clips import check_video
    from hf_mer.data.checks import check_audio, check_text
    from hf_mer.data.iemocap import load_iemocap
    from hf_mer.data.manifest import load_corpus
    from hf_mer.data.meld import load_meld
    from hf_mer.data.prepare import prepare
    from hf_mer.data.schema import column

    rows: Any
    task = {"task": arguments.task} if arguments.task else {}
    if arguments.kind == "iemocap":
        rows = load_iemocap(arguments.source, **task)
    elif arguments.kind == "meld":
        rows = load_meld(arguments.source, **task, on_bad_clip="skip" if arguments.skip_bad else "keep")
    else:
        rows = load_corpus(arguments.source, columns=arguments.columns)
    if any(audio is not None for audio in column(rows, "audio")):
        rows = check_audio(rows, on_bad="skip" if arguments.skip_bad else "raise")
    if arguments.check_video:
        rows = check_video(rows, on_bad="skip" if arguments.skip_bad else "raise")
    check_text(rows)
    parts = _official_splits(rows) if arguments.kind == "meld" else rows
    path = prepare(parts, arguments.out, overwrite=arguments.overwrite)
    counts = {name: column(rows, "label").count(index) for index, name in enumerate(rows.features["label"].names)}
    print(f"{len(rows)} utterances in {path}: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    print(f'read it with load_dataset("{path}")')


def _official_splits(rows: Any) -> dict[str, Any]:
    """Rows by the name that `datasets` has for their split."""
    from hf_mer.data.schema import column

    splits = column(rows, "split")
    names = {"train": "train", "dev": "validation", "test": "test"}
    chosen = {name: [i for i, split in enumerate(splits) if split == own] for own, name in names.items()}
    return {name: rows.select(indices) for name, indices in chosen.items() if indices}


def _generate(arguments: argparse.Namespace) -> None:
    ceilings: Any
    settings = {name: getattr(arguments, name) for name in ("cue_reliability", "history_share", "seed")}
    if arguments.layout == "meld":
        if arguments.language != "en":
            raise ValueError(f"--language {arguments.language} is for --layout iemocap; MELD's layout speaks English")
        from hf_mer.data.generated_meld import GeneratedMeldConfig, generate_meld_corpus

        # two thirds to train on, a fifth to test, as by default
        test, dev = arguments.num_utterances // 5, arguments.num_utterances * 2 // 15
        train = arguments.num_utterances - test - dev
        plan = GeneratedMeldConfig(num_train=train, num_dev=dev, num_test=test, **settings)
        ceilings = generate_meld_corpus(arguments.out, plan, num_proc=arguments.num_proc)
    else:
        from hf_mer.data.generated import GeneratedCorpusConfig, generate_corpus

        config = GeneratedCorpusConfig(
            num_utterances=arguments.num_utterances, language=arguments.language, **settings
        )
        ceilings = generate_corpus(arguments.out, config, num_proc=arguments.num_proc)
    print(f"{arguments.num_utterances} utterances in {arguments.out}\n{ceilings.table()}")


if __name__ == "__main__":
    sys.exit(main())
