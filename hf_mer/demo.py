"""The demo: a generated corpus, LE-MER and its branches trained on it, scores beside what can be reached, figures."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from hf_mer.data.generated.corpus import GeneratedCorpusConfig, generate_corpus, read_truth

RECIPE = Path("recipes/train_le_mer.py")
CONFIG = Path("recipes/configs/le_mer_generated.yaml")
FOLD = "Ses05"
SYSTEMS = {
    "text only": ("text", ["--modalities", "text"]),
    "speech only": ("speech", ["--modalities", "speech"]),
    "LE-MER": ("le_mer", []),
}


def run_demo(out: Path) -> None:
    """Runs everything into a folder; parts that are finished are not done again.

    Args:
        out: Folder.

    Raises:
        FileNotFoundError: If the recipes are not there: the demo runs from a checkout of the repository.
        OSError: If a training fails; its log is named.
    """
    root = Path(__file__).parent.parent
    if not (root / RECIPE).exists():
        raise FileNotFoundError(f"{root / RECIPE} is not there: the demo runs from a checkout of the repository")
    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    corpus = out / "corpus"
    print(f"1. Generating a corpus in IEMOCAP's layout: {corpus}", flush=True)
    ceilings = generate_corpus(corpus, GeneratedCorpusConfig(), num_proc=min(2, os.cpu_count() or 1))
    print("2. Training LE-MER and, for comparison, each of its branches alone", flush=True)
    _train(root, corpus, out)
    print("\n3. Scores on the held-out session, beside what the corpus allows (UA)\n")
    scores = _report(out, ceilings.as_dict())
    print("\n4. A recording of the held-out session\n")
    _predict(root, corpus, out)
    figures = sorted((out / "le_mer" / FOLD / "figures").glob("*.png"))
    print("\nfigures:", *(str(path) for path in [out / "scores.png", out / "prediction.png", *figures]), sep="\n  ")
    print(f"checkpoint: {out / 'le_mer' / FOLD / 'model'}")
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes")
    if scores["LE-MER"] <= max(scores["text only"], scores["speech only"]):
        raise OSError("LE-MER did not beat its branches: something is wrong with this build")


def _train(root: Path, corpus: Path, out: Path) -> None:
    """LE-MER on one core, its branches one after the other on another."""
    jobs = [[SYSTEMS["LE-MER"]], [SYSTEMS["speech only"], SYSTEMS["text only"]]]
    running = [(queue, _launch(root, corpus, out, *queue.pop(0))) for queue in jobs]
    while running:
        queue, (process, log) = running.pop(0)
        if process.poll() is None:
            running.append((queue, (process, log)))
            time.sleep(0.2)
            continue
        if process.returncode != 0:
            for _, (other, _) in running:
                other.terminate()
            raise OSError(f"training failed with status {process.returncode}; the end of {log}:\n{_tail(log)}")
        print(f"   finished: {log.with_suffix('')}", flush=True)
        if queue:
            running.append((queue, _launch(root, corpus, out, *queue.pop(0))))


def _launch(root: Path, corpus: Path, out: Path, name: str, flags: list[str]) -> tuple[subprocess.Popen, Path]:
    log = (out / f"{name}.log").absolute()
    data, folder = corpus.absolute(), (out / name).absolute()
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--cpu"]
    command += [str(root / RECIPE), "--config", str(root / CONFIG)]
    command += ["--data_dir", str(data), "--output_dir", str(folder), *flags]
    shown = ["accelerate launch", RECIPE, "--config", CONFIG, "--data_dir", corpus, "--output_dir", out / name, *flags]
    print("  ", *shown, flush=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with log.open("w", encoding="utf-8") as file:
        return subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environment), log


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


def _predict(root: Path, corpus: Path, out: Path) -> None:
    """An utterance of the held-out session whose words and voice both carry their cue."""
    from datasets import disable_progress_bars

    from hf_mer.cli import main
    from hf_mer.data import load_iemocap

    disable_progress_bars()
    clear = {row["id"] for row in read_truth(corpus) if row["label"] == "ang" and not int(row["history_only"])}
    rows = load_iemocap(corpus)
    chosen = next(row for row in rows if row["session"] == FOLD and row["id"] in clear and row["history"])
    recording = os.path.relpath(chosen["audio"]["path"])
    history = chosen["history"][-3:]
    checkpoint = out / "le_mer" / FOLD / "model"
    shown = " ".join(f'"{turn}"' for turn in history)
    plot = out / "prediction.png"
    print(f'$ hf-mer predict {checkpoint} {recording} --text "{chosen["text"]}" --history {shown} --plot {plot}')
    main(["predict", str(checkpoint), recording, "--text", chosen["text"], "--plot", str(plot), "--history", *history])
    print(f"(labelled {rows.features['label'].int2str(chosen['label'])})\n\n$ hf-mer labels {checkpoint}")
    main(["labels", str(checkpoint)])


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
