"""This package beside what else trains and runs a speech emotion classifier: SpeechBrain and transformers.

    python recipes/benchmarks/peers.py --part training --size base --batches 4 16
    python recipes/benchmarks/peers.py --part training --groups speech --size small --rounds 3 --without speechbrain
    python recipes/benchmarks/peers.py --part inference --size base --recordings 500

Training, speech alone, with the shapes of wav2vec 2.0 base and random weights (time does not depend on them):

- `speechbrain`: its recipe for IEMOCAP with wav2vec 2.0 as it stands: wrapper with `output_norm`, mean over frames,
  linear layer, log-softmax, NLL, two Adam optimizers, random batches padded by its `PaddedBatch`;
- `transformers`: its example of audio classification. Taken over: `Wav2Vec2ForSequenceClassification`, the feature
  extractor with an attention mask, `DataCollatorWithPadding`, random batches, fused AdamW. Its cut at 20 s never acts;
- `hf_mer`: LE-MER's speech branch without label embeddings (mean over frames, linear layer), batches of like length by
  its trainer's sampler and its collator, fused AdamW.

All three train the transformer, the feature projection and the layers behind. The convolutions are frozen, which is
the default of both peers and of this package's settings for IEMOCAP. SpeechBrain's wrapper turns SpecAugment off; the
others have it on, as transformers has it by default. LayerDrop is off everywhere.

Training, speech, same batches: transformers and hf_mer once more, both on the peers' random batches.

Training, text and speech: LE-MER as its paper has it (label embeddings, constrained cross-attention, all losses), and
as its peer BERT and wav2vec 2.0 of transformers (mean of each, side by side, linear layer) on random batches.

A step is: making the batch from samples in memory, forward, backward, optimizer. Reading files, clipping of gradients,
the learning rate's schedule and logging are in none. The lengths are IEMOCAP's, cut at `--longest`. The peers run all
of `--rows` rows, in another order every round. This package's sampler sorts `--corpus` rows, as it would those of a
real corpus; as many of its batches as hold `--rows` rows are run, evenly over their lengths. A case's speed is seconds
of sound, without padding, by seconds of the processor; its ratio is that speed over this package's.
With few batches in a round these do not reach the longest rows, which cost most: 64 rows in batches of 16 are four
batches, of 8 s at most. `--rows 256` does for 16. Peak memory is that of the largest batch of an epoch.

Inference: `--recordings` files of 0.8 to 4 s to a CSV file of labels and scores, by transformers'
`audio-classification` pipeline, by this package's pipeline around the same encoder, and around its ONNX and int8
graphs; and the encoder alone on the batches that this package's pipeline makes. Transformers' pipeline opens files
with the program ffmpeg; here a dataset reads them with soundfile, which starts no program. The processor time of
workers is counted with the rest.
"""

import argparse
import json
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import measuring
from step_time import SIZES

NEEDED = {"speechbrain": "peers", "onnx": "export"}  # package to the extra that brings it
PARTS = {"training": "speechbrain", "inference": "onnx"}  # part to the package that may be left out of it
GROUPS = ("speech", "speech, same batches", "text and speech")  # of training


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--size", choices=SIZES, default="base", help="base is wav2vec2-base and BERT-base")
    parser.add_argument("--rounds", type=int, default=5, help="each runs every case once")
    parser.add_argument("--without", nargs="+", choices=NEEDED, default=[], help="packages whose cases are left out")
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS), help="of training, what is run")
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 16], help="utterances of a training batch")
    parser.add_argument("--rows", type=int, default=64, help="utterances of a round of training")
    parser.add_argument("--corpus", type=int, default=5000, help="utterances that this package's sampler sorts")
    parser.add_argument("--longest", type=float, default=15.0, help="longer utterances are cut, seconds")
    parser.add_argument("--memory", action="store_true", help="also peak memory of every training case, alone")
    parser.add_argument("--recordings", type=int, default=500, help="files of a round of inference")
    parser.add_argument("--inference-batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2], help="processes that load, in inference")
    measuring.add_output_argument(parser)
    settings = parser.parse_args(argv)
    for part in settings.part:
        package = PARTS[part]
        if package not in settings.without and find_spec(package) is None:
            raise SystemExit(
                f'{package} is not installed: pip install "hf_mer[{NEEDED[package]}]", or --without {package}'
            )
    if settings.corpus < max(settings.batches):
        parser.error(f"--corpus: {settings.corpus} is less than a batch of {max(settings.batches)}")
    return settings


def training(settings: argparse.Namespace) -> tuple[dict[str, str], list[dict[str, Any]]]:
    from peers_training import measure

    columns = {"part": f"training, {settings.size}", "batch": "batch", "case": "case"}
    columns.update(speed="s of sound by s of processor", ratio="over hf_mer's", padding="padding of the sound")
    return {**columns, **({"mib": "peak MiB"} if settings.memory else {})}, measure(settings)


def inference(settings: argparse.Namespace) -> tuple[dict[str, str], list[dict[str, Any]]]:
    from peers_inference import measure

    columns = {"case": f"inference, {settings.size}, {settings.recordings} files", "batch": "batch"}
    columns.update(
        workers="workers", median="s of processor", wall="s of the clock", speed="s of sound by s of processor"
    )
    columns.update(theirs="time over transformers' pipeline", encoder="time over the encoder alone")
    return columns, measure(settings)


def main(argv: list[str] | None = None) -> dict[str, Any]:
    settings = parse(argv)
    tables, measured = [], {}
    for part in settings.part:
        columns, measured[part] = {"training": training, "inference": inference}[part](settings)
        tables.append(measuring.table(columns, measured[part]))
    hardware = measuring.hardware()
    used = [PARTS[part] for part in settings.part if PARTS[part] not in settings.without]
    hardware.update({name: version(name) for name in used})
    result = {"settings": vars(settings), "hardware": hardware, **measured}
    print(measuring.machine_line(hardware), *tables, sep="\n\n")
    if settings.json is not None:
        measuring.write(settings.json, json.dumps(result, indent=2, default=str))
    return result


if __name__ == "__main__":
    main()
