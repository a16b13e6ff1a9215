"""The demo: a generated corpus, LE-MER and its branches trained on it, scores beside what can be reached, figures."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tqdm import tqdm

from hf_mer.data.generated.generate import GeneratedCorpusConfig, generate_corpus, read_truth
from hf_mer.data.mark import is_generated
from hf_mer.files import check_replaceable
from hf_mer.training.own_corpus import configuration

RECIPE = Path("recipes/train_le_mer.py")
CONFIG = "le_mer_generated"
FOLD = "Ses05"
EXPLANATION = "explanation.png"
_BUDGET = 4000  # forward passes for the explanation: four times the default halves its standard errors
_EPOCH = re.compile(r"\{'loss': '?([0-9.e+-]+)'?,.*'epoch': '?([0-9.]+)")  # a line of the trainer's log
SYSTEMS = {
    "text only": ("text", ["--modalities", "text"]),
    "speech only": ("speech", ["--modalities", "speech"]),
    "LE-MER": ("le_mer", []),
}


class _Training(NamedTuple):
    """A training that runs: its process, the log that it writes, its bar, and the trainings that come after it."""

    process: subprocess.Popen
    log: Path
    bar: tqdm
    later: list[str]


def run_demo(out: Path, command: Callable[[Sequence[str]], int], overwrite: bool = False) -> None:
    """Runs everything into a folder; parts that are finished are not done again.

    Args:
        out: Folder.
        command: Runs `hf-mer` with arguments.
        overwrite: Whether files of the same names that no demo wrote may go.

    Raises:
        FileExistsError: If there are such files.
        OSError: If a training fails; its log is named.
    """
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    corpus = out / "corpus"
    if not is_generated(corpus):  # else it is an earlier demo's folder
        written = ["scores.png", EXPLANATION, *(f"{name}.log" for name, _ in SYSTEMS.values())]
        check_replaceable((out / name for name in written), overwrite)
    print(f"1. Generating a corpus in IEMOCAP's layout: {corpus}", flush=True)
    ceilings = generate_corpus(corpus, GeneratedCorpusConfig(), num_proc=min(2, os.cpu_count() or 1))
    print("2. Training LE-MER and, for comparison, each of its branches alone", flush=True)
    _train(corpus, out)
    print("\n3. Scores on the held-out session, beside what the corpus allows (UA)\n")
    scores = _report(out, ceilings.as_dict())
    print("\n4. A recording of the held-out session\n")
    _predict(corpus, out, command)
    figures = sorted((out / "le_mer" / FOLD / "figures").glob("*.png"))
    print("\nfigures:", *(str(path) for path in [out / "scores.png", *figures, out / EXPLANATION]), sep="\n  ")
    print(f"checkpoint: {out / 'le_mer' / FOLD / 'model'}")
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")
    print(
        "a demonstration: these models know synthetic speech and made-up sentences, nothing about real voices; for a "
        "real model, train on recordings of people: hf-mer train le_mer SOURCE"
    )
    if scores["LE-MER"] <= max(scores["text only"], scores["speech only"]):
        raise OSError("LE-MER did not beat its branches: something is wrong with this build")


def _train(corpus: Path, out: Path) -> None:
    """LE-MER on one core, its branches one after the other on another."""
    running = [_launch(corpus, out, ["LE-MER"]), _launch(corpus, out, ["speech only", "text only"])]
    try:
        while running:
            time.sleep(0.2)
            for training in list(running):
                ended = training.process.poll() is not None
                _show(training)
                if ended:
                    running.remove(training)
                    training.bar.close()
                    if training.process.returncode != 0:
                        raise OSError(f"training failed with status {training.process.returncode}; the end of "
                                      f"{training.log}:\n{_tail(training.log)}")  # fmt: skip
                    if training.later:
                        running.append(_launch(corpus, out, training.later))
    finally:
        for training in running:
            training.process.terminate()
            training.bar.close()


def _launch(corpus: Path, out: Path, systems: list[str]) -> _Training:
    """Starts the training of the first of the systems: the recipe of a checkout, or the same without one."""
    name, flags = SYSTEMS[systems[0]]
    log, config = (out / f"{name}.log").absolute(), configuration(CONFIG)
    recipe = Path(__file__).parent.parent / RECIPE
    script = [os.path.relpath(recipe)] if recipe.is_file() else ["-m", "hf_mer.training.run", "le_mer"]
    settings = [
        "--config",
        os.path.relpath(config),
        "--data_dir",
        str(corpus),
        "--output_dir",
        str(out / name),
        *flags,
    ]
    tqdm.write(f"   accelerate launch {' '.join([*script, *settings])}")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1"]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "--cpu", *script, *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    epochs = yaml.safe_load(config.read_text(encoding="utf-8"))["num_train_epochs"]
    return _Training(process, log, tqdm(total=epochs, desc=f"   {systems[0]:<11}", unit="epoch"), systems[1:])


def _show(training: _Training) -> None:
    """Moves the bar to the last epoch in the log, with its loss."""
    epochs = _EPOCH.findall(training.log.read_text(encoding="utf-8", errors="replace"))
    if epochs and float(epochs[-1][1]) > training.bar.n:
        training.bar.set_postfix_str(f"loss {float(epochs[-1][0]):.3f}", refresh=False)
        training.bar.update(float(epochs[-1][1]) - training.bar.n)
    elif sys.stderr.isatty():
        training.bar.refresh()  # its clock


def _report(out: Path, ceilings: dict[str, float]) -> dict[str, float]:
    from hf_mer.files import save_figure
    from hf_mer.plots import systems_with_ceilings

    limits = {"text only": ceilings["text"], "speech only": ceilings["voice"], "LE-MER": ceilings["both"]}
    scores, intervals = {}, {}
    print(f"{'system':<12} {'UA':>6}   {'95 % interval':<16} {'ceiling':>7}")
    for system, (name, _) in SYSTEMS.items():
        test = json.loads((out / name / FOLD / "results.json").read_text(encoding="utf-8"))["test"]
        scores[system], intervals[system] = test["scores"]["ua"], tuple(test["intervals_95"]["ua"])
        low, high = intervals[system]
        print(f"{system:<12} {scores[system]:>6.3f}   [{low:.3f}, {high:.3f}]   {limits[system]:>7.3f}")
    print(f"{'chance':<12} {ceilings['chance']:>6.3f}")
    save_figure(systems_with_ceilings(scores, intervals, limits), out / "scores.png")
    return scores


def _predict(corpus: Path, out: Path, command: Callable[[Sequence[str]], int]) -> None:
    """An utterance of the held-out session whose words and voice both carry their cue."""
    from datasets import disable_progress_bars

    from hf_mer.data import load_iemocap

    disable_progress_bars()
    clear = {row["id"]: row for row in read_truth(corpus) if row["label"] == "ang" and not row["history_only"]}
    rows = load_iemocap(corpus)
    chosen = next(row for row in rows if row["session"] == FOLD and row["id"] in clear and row["history"])
    recording = os.path.relpath(chosen["audio"]["path"])
    history = chosen["history"][-3:]
    checkpoint = out / "le_mer" / FOLD / "model"
    shown = " ".join(f'"{turn}"' for turn in history)
    budget = ["--explain-budget", str(_BUDGET)]
    print(f'$ hf-mer predict {checkpoint} {recording} --text "{chosen["text"]}" --history {shown}', *budget)
    command(["predict", str(checkpoint), recording, "--text", chosen["text"], "--history", *history, *budget])
    label = rows.features["label"].int2str(chosen["label"])
    print(f"\n(labelled {label})\n\n$ hf-mer labels {checkpoint}")
    command(["labels", str(checkpoint)])
    item = {"audio": recording, "text": chosen["text"], "history": history}
    _draw_explanation(checkpoint, item, label, clear[chosen["id"]], out / EXPLANATION)


def _draw_explanation(checkpoint: Path, item: dict[str, Any], label: str, truth: dict[str, Any], path: Path) -> None:
    """Draws what the prediction went by, beside where the generated corpus put its cues."""
    from hf_mer.files import save_figure
    from hf_mer.hub.loading import load_checkpoint
    from hf_mer.models import MultimodalEmotionRecognitionPipeline
    from hf_mer.models.audio_mer import load_audio
    from hf_mer.plots import explanation_figure

    model, processor = load_checkpoint(checkpoint)
    recognise: Any = MultimodalEmotionRecognitionPipeline(model=model, processor=processor)
    found = recognise(item, explain={"budget": _BUDGET})
    scores = {one["label"]: one["score"] for one in found["scores"]}
    figure = explanation_figure(
        found["explanation"],
        recognise.labels,
        [scores[name] for name in recognise.labels],
        waveform=load_audio(item["audio"], recognise.processor.sampling_rate),
        sampling_rate=recognise.processor.sampling_rate,
        true_label=label,
        true_words=truth["salient_words"],
        true_spans=truth["salient_spans"],
        title=Path(item["audio"]).name,
    )
    save_figure(figure, path)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
