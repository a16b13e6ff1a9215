"""`hf-mer predict` of one utterance, and `hf-mer labels`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from media_files import save_film_checkpoint

from hf_mer import files
from hf_mer.cli import main
from hf_mer.models import MerProcessor
from hf_mer.prediction.load import load_recognizer


@pytest.fixture
def checkpoint(tiny_checkpoint):
    return tiny_checkpoint()[0]


def test_predict_prints_every_class_best_first(checkpoint, write_wav, capsys):
    assert main(["predict", checkpoint, str(write_wav("a.wav")), "--text", "hello", "--history", "how are you"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.strip().splitlines()]
    scores = [float(row[1]) for row in rows]
    assert len(rows) > 1
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("generated", [True, False])
def test_a_model_of_a_generated_corpus_says_that_it_is_a_demonstration(checkpoint, tmp_path, capsys, generated):
    results = {
        "fold": "Ses05",
        "rows": {},
        "test": {},
        "settings": {"data": {"corpus": "iemocap"}},
        "generated_corpus": generated,
    }
    Path(checkpoint).rename(tmp_path / "model")
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert main(["predict", str(tmp_path), "--text", "hello", "--json"]) == 0
    out, told = capsys.readouterr()
    assert json.loads(out)["scores"]
    assert ("a demonstration, trained on synthetic speech" in told) == generated


def test_predict_draws_and_gives_json(checkpoint, write_wav, capsys, tmp_path):
    figure = tmp_path / "figure.png"
    left = f".figure.{files._machine()}-99999999-01234567.unfinished.png"
    (tmp_path / left).write_bytes(b"of a killed run")
    assert (
        main(
            ["predict", checkpoint, str(write_wav("a.wav")), "--text", "hello there", "--json", "--plot", str(figure)]
        )
        == 0
    )
    prediction = json.loads(capsys.readouterr().out)
    assert [word["word"] for word in prediction["explanation"]["words"]] == ["hello", "there"]
    assert len(prediction["explanation"]["segments"]) > 0
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".*"))


def test_a_time_line_is_drawn_too(checkpoint, write_wav, capsys, tmp_path):
    call, figure = str(write_wav("call.wav", seconds=2.0)), tmp_path / "time_line.png"
    assert main(["predict", checkpoint, call, "--window", "1", "--plot", str(figure)]) == 0
    assert f"figure: {figure}" in capsys.readouterr().out
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_histories_are_as_long_as_the_checkpoint_reads_them(tiny_checkpoint, tmp_path):
    checkpoint = tiny_checkpoint()[0]
    processor = MerProcessor.from_pretrained(checkpoint)
    processor.max_history = 12
    processor.save_pretrained(checkpoint)
    words = [
        "so glad",
        "no",
        "yes",
        "what",
        "never",
        "so",
        "glad",
        "oh",
        "well",
        "hm",
        "now",
        "then",
        "why",
        "so glad",
    ]
    table, out = tmp_path / "calls.csv", tmp_path / "p.jsonl"
    lines = [f"{said},one,{turn}" for turn, said in enumerate(words)]
    table.write_text("\n".join(["text,dialogue,turn", *lines]))
    assert main(["predict", checkpoint, str(table), "--out", str(out)]) == 0
    last = json.loads(out.read_text().splitlines()[-1])
    recognise = load_recognizer(checkpoint)

    def by_label(scores):
        return pytest.approx({one["label"]: one["score"] for one in scores}, abs=1e-6)

    of_12, of_10 = (by_label(recognise({"text": words[-1], "history": words[-1 - n : -1]})) for n in (12, 10))
    found = {one["label"]: one["score"] for one in last["scores"]}
    assert (found == of_12, found == of_10) == (True, False)


def test_one_modality_is_enough(checkpoint, write_wav):
    assert main(["predict", checkpoint, "--text", "hello"]) == 0
    assert main(["predict", checkpoint, str(write_wav("a.wav"))]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give an audio or video file, --text, or both"),
        (["--text", "hello", "--start", "1"], "need a file"),
        (["nowhere.wav"], "nowhere.wav: no such audio file"),
        (["--text", "caf\udce9"], "--text 'caf\\udce9' is not valid UTF-8"),
        (["--text", "so", "--history", "hi", "caf\udce9"], "--history 'caf\\udce9' is not valid UTF-8"),
        (["a.wav", "--json", "--out", "p.csv"], "--json does not go with --out p.csv, which is CSV"),
        (
            ["a.wav", "calls.csv", "--out", "x/../calls.csv", "--overwrite"],
            "--out x/../calls.csv is one of the inputs",
        ),
    ],
)
def test_bad_input_is_one_line(checkpoint, capsys, arguments, message):
    assert main(["predict", checkpoint, *arguments]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error.splitlines()[-1]


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "foo", "0"])
def test_a_device_that_is_not_there(device, capsys, monkeypatch):
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    for command in (["predict", "no/checkpoint", "--text", "hello"],
                    ["evaluate", "no/checkpoint", "--corpus", "manifest", "--data-dir", "calls.csv"]):  # fmt: skip
        assert main([*command, "--device", device]) == 1  # before the Hub is asked
        assert capsys.readouterr().err == f"error: device '{device}' is not one of this machine's: cpu\n"


def test_devices_of_a_machine_that_has_some(capsys, monkeypatch):
    for name, value in {"is_available": True, "current_accelerator": "cuda", "device_count": 2}.items():
        monkeypatch.setattr(f"torch.accelerator.{name}", lambda value=value: value)
    assert main(["predict", "no/checkpoint", "--text", "hello", "--device", "cuda:2"]) == 1
    assert "device 'cuda:2' is not one of this machine's: cpu, cuda, cuda:0, cuda:1" in capsys.readouterr().err


def test_a_type_that_weights_cannot_have(checkpoint, capsys):
    for wrong in ("foo", "int8", "torch.float32", "nn"):
        assert main(["predict", checkpoint, "--text", "hello", "--dtype", wrong]) == 1
        told = capsys.readouterr().err
        assert told == f"error: dtype '{wrong}' is not one of auto, float32, bfloat16, float16, float64\n"
    assert main(["predict", checkpoint, "--text", "hello", "--dtype", "bfloat16", "--device", "cpu"]) == 0


def test_a_film_alone_is_enough(tmp_path, write_video, capsys):
    checkpoint = save_film_checkpoint(tmp_path / "films")
    film = write_video("scene.mp4", split=True)

    def predicted(*arguments):
        assert main(["predict", checkpoint, film, "--json", *arguments]) == 0
        return {item["label"]: item["score"] for item in json.loads(capsys.readouterr().out)["scores"]}

    whole = predicted()
    assert sum(whole.values()) == pytest.approx(1, abs=1e-5)
    assert predicted("--text", "hello") != whole
    assert predicted("--start", "0.4", "--end", "0.8") != whole
    assert predicted("--start", "0", "--end", "1.6") == pytest.approx(whole, abs=1e-3)
    assert predicted("--side", "left") != predicted("--side", "right")
    assert main(["predict", checkpoint, film, "--start", "3"]) == 1
    assert "outside" in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there(capsys, tmp_path):
    assert main(["labels", str(tmp_path / "none")]) == 1
    assert "error:" in capsys.readouterr().err


def test_labels_as_table_and_as_json(checkpoint, capsys):
    assert main(["labels", checkpoint]) == 0
    table = capsys.readouterr().out
    assert "semantic labels, two classes: 1 of 2 keywords shared" in table
    assert "tonal labels, two classes: 2 of 2 codes shared" in table
    assert main(["labels", checkpoint, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert all(label in table for label in content["labels"])


def test_the_folder_of_a_fold_is_enough(checkpoint, tmp_path, capsys):
    fold = tmp_path / "runs" / "Ses05"
    fold.mkdir(parents=True)
    Path(checkpoint).rename(fold / "model")
    assert main(["predict", str(fold), "--text", "hello"]) == 0
    assert main(["labels", str(fold)]) == 0
    assert main(["predict", str(fold.parent), "--text", "hello"]) == 1
    assert f"it contains several folds; choose one of {fold}" in capsys.readouterr().err


def test_top_k_and_abstention(checkpoint, capsys):
    assert main(["predict", checkpoint, "--text", "hello", "--top-k", "2", "--threshold", "0.99"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[-1] == "no label: no score is 0.99 or more"
    assert main(["predict", checkpoint, "--text", "hello", "--threshold", "2"]) == 1
    assert "threshold" in capsys.readouterr().err


def test_windows_give_a_time_line(checkpoint, write_wav, capsys, tmp_path):
    long = str(write_wav("call.wav", seconds=2.0))
    assert main(["predict", checkpoint, long, "--window", "0.8", "--hop", "0.4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    times = [line.split()[:3] for line in lines if " s  " in line]
    assert times == [[f"{0.4 * i:.1f}", "-", f"{0.4 * i + 0.8:.1f}"] for i in range(4)]
    assert main(["predict", checkpoint, long, "--hop", "0.4"]) == 1
    assert "--hop needs --window" in capsys.readouterr().err


def test_one_recording_brings_in_no_library_that_it_does_not_need(checkpoint, write_wav):
    """What `labels` and `predict` import, beyond what transformers does by itself, is most of the time they take."""
    code = (
        "import sys; from hf_mer.cli import main\n"
        "assert main(['labels', sys.argv[1]]) == 0\n"
        "assert main(['predict', *sys.argv[1:], '--text', 'so glad']) == 0\n"
        "heavy = {'datasets', 'evaluate', 'gradio', 'matplotlib', 'onnxruntime', 'pandas', 'pyarrow', 'sklearn'}\n"
        "print('imported:', *sorted(heavy & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, checkpoint, write_wav("a.wav")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported:"
