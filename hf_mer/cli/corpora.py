"""`hf-mer prepare` and `hf-mer generate`."""

import argparse
import json
from pathlib import Path
from typing import Any

from hf_mer.cli.help import add_command, add_encoding, column_names, corpus_name

PREPARE_EXAMPLES = """examples:
  hf-mer prepare iemocap /data/IEMOCAP_full_release prepared --task 4class
  hf-mer prepare meld /data/MELD.Raw prepared --task sentiment
  hf-mer prepare ravdess /data/RAVDESS prepared                  # or crema_d, emodb, nemo, or a YAML file of yours
  hf-mer prepare manifest calls.csv prepared --columns '{"audio": "file", "label": "emotion"}'
  hf-mer prepare manifest recordings/ prepared --embed-audio     # one folder per emotion; copies the recordings
"""
GENERATE_EXAMPLES = """examples:
  hf-mer generate corpus --num-utterances 1500
  hf-mer generate corpus --language pl
  hf-mer generate corpus --layout meld --num-proc 2
"""


def add_commands(commands: Any) -> None:
    """Adds the commands to the parser's."""
    prepare = add_command(
        commands, "prepare", _prepare, "check a corpus and write it as a folder for load_dataset", PREPARE_EXAMPLES
    )
    prepare.add_argument(
        "kind",
        type=corpus_name,
        help="iemocap, meld, manifest, a public corpus (crema_d, emodb, nemo, ravdess), or a YAML file that "
        "describes one",
    )
    prepare.add_argument(
        "source", help="folder of the release, or a table (CSV, TSV, JSON lines) or folder of recordings"
    )
    prepare.add_argument("out", type=Path, help="folder to write")
    prepare.add_argument("--task", help="classes of IEMOCAP (4class, 6class) or MELD (emotion, sentiment)")
    prepare.add_argument("--columns", type=column_names, default=None, help="column names of a manifest, as JSON")
    add_encoding(prepare)
    prepare.add_argument("--check-video", action="store_true", help="also check the video of every clip")
    prepare.add_argument("--skip-bad", action="store_true", help="skip unusable recordings instead of stopping")
    prepare.add_argument(
        "--embed-audio", action="store_true", help="copy the recordings into the folder, so that it can be moved"
    )
    prepare.add_argument("--overwrite", action="store_true", help="replace an earlier prepared folder")

    generate = add_command(
        commands,
        "generate",
        _generate,
        "generate a corpus whose best possible scores are known",
        GENERATE_EXAMPLES,
    )
    generate.add_argument("out", type=Path, help="folder to write")
    generate.add_argument(
        "--layout",
        choices=("iemocap", "meld"),
        default="iemocap",
        help="iemocap: sessions, wav, words and voice; meld: official splits, mp4, words, voice and face",
    )
    generate.add_argument(
        "--num-utterances",
        type=int,
        default=1500,
        help="number of utterances of the four classes (iemocap) or of all splits (meld) (default: 1500)",
    )
    generate.add_argument(
        "--language",
        choices=("en", "de", "pl", "zh"),
        default="en",
        help="language of the words, for iemocap (default: en)",
    )
    generate.add_argument(
        "--cue-reliability", type=float, default=0.9, help="share of cues that agree with the label (default: 0.9)"
    )
    generate.add_argument(
        "--history-share",
        type=float,
        default=0.2,
        help="share of utterances whose label depends on the history alone (default: 0.2)",
    )
    generate.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    generate.add_argument("--num-proc", type=int, default=1, help="number of processes (default: 1)")


def _prepare(arguments: argparse.Namespace) -> None:
    from hf_mer.data.check_files import check_audio, check_video
    from hf_mer.data.checks import check_text
    from hf_mer.data.corpora.iemocap import load_iemocap
    from hf_mer.data.corpora.manifest import load_corpus
    from hf_mer.data.corpora.meld import load_meld
    from hf_mer.data.corpora.public.description import is_public
    from hf_mer.data.corpora.public.loading import load_public
    from hf_mer.data.prepare import prepare
    from hf_mer.data.schema import column

    rows: Any
    task = {"task": arguments.task} if arguments.task else {}
    if arguments.kind == "iemocap":
        rows = load_iemocap(arguments.source, **task)
    elif arguments.kind == "meld":
        rows = load_meld(arguments.source, **task, on_bad_clip="skip" if arguments.skip_bad else "keep")
    elif is_public(arguments.kind):
        _check_public(arguments)
        rows = load_public(arguments.kind, arguments.source)
    else:
        rows = load_corpus(arguments.source, columns=arguments.columns, encoding=arguments.encoding)
    if any(audio is not None for audio in column(rows, "audio")):
        rows = check_audio(rows, on_bad="skip" if arguments.skip_bad else "raise")
    if arguments.check_video:
        rows = check_video(rows, on_bad="skip" if arguments.skip_bad else "raise")
    check_text(rows)
    parts = _official_splits(rows) if arguments.kind == "meld" else rows
    path = prepare(
        parts, arguments.out, arguments.embed_audio, arguments.overwrite, about=_about(arguments, parts is not rows)
    )
    counts = {name: column(rows, "label").count(index) for index, name in enumerate(rows.features["label"].names)}
    print(f"{len(rows)} utterances in {path}: {', '.join(f'{name} {count}' for name, count in counts.items())}")
    print(f'read it with load_dataset("{path}")')


def _check_public(arguments: argparse.Namespace) -> None:
    """Refuses what a public corpus has no use for."""
    for name in ("task", "columns"):
        if getattr(arguments, name) is not None:
            raise ValueError(f"--{name} cannot be used with {arguments.kind}: its description gives classes and files")


def _about(arguments: argparse.Namespace, official_splits: bool) -> dict[str, Any]:
    """What identifies the corpus, without the names of this machine's folders."""
    from hf_mer.data.corpora.public.description import describe, is_public, public_names
    from hf_mer.data.mark import is_generated, read_mark

    source = Path(arguments.source)
    mark = read_mark(source) if source.is_dir() and is_generated(source) else None
    flags = [f"--task {arguments.task}"] * bool(arguments.task)
    flags += [f"--{name.replace('_', '-')}" for name in ("check_video", "skip_bad", "embed_audio") if
              getattr(arguments, name)]  # fmt: skip
    flags += [f"--encoding {arguments.encoding}"] * (arguments.encoding != "utf-8")
    if arguments.columns:
        flags.append(f"--columns '{json.dumps(arguments.columns)}'")
    public = describe(arguments.kind) if is_public(arguments.kind) else None
    kind = Path(arguments.kind).name
    return {
        "corpus": kind if public is None or kind in public_names() else "own",
        **({} if public is None else {"title": public.title, "redistributable": public.redistributable}),
        "task": arguments.task,
        "generated": mark and {name: mark[name] for name in ("version", "settings")},
        "splits": "official" if official_splits else None,
        "command": " ".join(["hf-mer prepare", kind, "SOURCE prepared", *flags]),
    }


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
            raise ValueError(f"--language {arguments.language} needs --layout iemocap; --layout meld is in English")
        from hf_mer.data.generated.generate import GeneratedMeldConfig, generate_meld_corpus

        # two thirds to train on, a fifth to test, as by default
        test, dev = arguments.num_utterances // 5, arguments.num_utterances * 2 // 15
        train = arguments.num_utterances - test - dev
        plan = GeneratedMeldConfig(num_train=train, num_dev=dev, num_test=test, **settings)
        ceilings = generate_meld_corpus(arguments.out, plan, num_proc=arguments.num_proc)
    else:
        from hf_mer.data.generated.generate import GeneratedCorpusConfig, generate_corpus

        config = GeneratedCorpusConfig(
            num_utterances=arguments.num_utterances, language=arguments.language, **settings
        )
        ceilings = generate_corpus(arguments.out, config, num_proc=arguments.num_proc)
    print(f"{arguments.num_utterances} utterances in {arguments.out}\n{ceilings.table()}")
