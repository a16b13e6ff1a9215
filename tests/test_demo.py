"""What the demo tells, from results that a training left; `make demo` itself is the whole of it."""

import json
from pathlib import Path

import pytest

from hf_mer import demo


@pytest.fixture
def finished(tmp_path):
    """Folders as the three trainings leave them."""
    for index, (name, _) in enumerate(demo.SYSTEMS.values()):
        folder = tmp_path / name / demo.FOLD
        folder.mkdir(parents=True)
        score = 0.4 + 0.1 * index
        test = {"scores": {"ua": score}, "intervals_95": {"ua": [score - 0.05, score + 0.05]}}
        (folder / "results.json").write_text(json.dumps({"test": test}))
    return tmp_path


def test_every_system_stands_beside_its_ceiling(finished, capsys):
    ceilings = {"chance": 0.25, "text": 0.45, "voice": 0.46, "both": 0.81}
    scores = demo._report(finished, ceilings)
    lines = {line[:11].strip(): line for line in capsys.readouterr().out.splitlines()}
    assert scores == pytest.approx({"text only": 0.4, "speech only": 0.5, "LE-MER": 0.6})
    assert lines["text only"].endswith("0.450")
    assert lines["speech only"].endswith("0.460")
    assert lines["LE-MER"].endswith("0.810")
    assert (finished / "scores.png").exists()


def test_the_explanation_stands_beside_the_truth(tiny_checkpoint, write_wav, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "_BUDGET", 100)
    item = {"audio": str(write_wav("a.wav", seconds=0.6)), "text": "so glad", "history": ["who is it"]}
    truth, path = {"salient_words": [1], "salient_spans": [(0.1, 0.4)]}, tmp_path / "explanation.svg"
    demo._draw_explanation(Path(tiny_checkpoint()[0]), item, "sad", truth, path)
    drawn = path.read_text(encoding="utf-8")
    assert all(text in drawn for text in ("a.wav: for and against", "where the cue truly is", "Earlier words", "glad"))


@pytest.mark.slow
def test_a_training_that_fails_is_told_with_the_end_of_its_log(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "SYSTEMS", {name: ("run", ["--fusion", "nonsense"]) for name in demo.SYSTEMS})
    with pytest.raises(OSError, match=r"(?s)training failed with status [12].*nonsense"):
        demo._train(tmp_path / "corpus", tmp_path)
    assert "accelerate launch recipes/train_le_mer.py --config recipes/configs/le_mer_generated.yaml" in "".join(
        capsys.readouterr()
    )


def test_the_bar_follows_the_log(tmp_path):
    log = tmp_path / "run.log"
    lines = [
        "{'loss': '2.022', 'grad_norm': '4.3', 'epoch': '1'}",
        "{'eval_loss': '1.9', 'epoch': '1'}",
        "{'loss': 0.5, 'epoch': 2.0}",
    ]
    log.write_text("\n".join(lines) + "\n{'train_loss': '1.2', 'epoch': '12'}")
    with demo.tqdm(total=12) as bar:
        demo._show(demo._Training(None, log, bar, []))
        assert bar.n == 2
        assert bar.postfix == "loss 0.500"
