"""The commands of `hf-mer`, called as a shell would call them, in this process."""

import csv
import json
import subprocess
import sys

import pytest
from datasets import load_dataset
from media_files import save_film_checkpoint

from hf_mer.cli import main


@pytest.fixture
def checkpoint(tiny_checkpoint):
    return tiny_checkpoint()[0]


def test_help_is_quick_and_teaches_by_example():
    code = "import sys; from hf_mer.cli import _parser; print(_parser().format_help()); print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "hf-mer predict" in output
    assert output.strip().endswith("False")  # nothing heavy was imported


def test_predict_prints_every_class_best_first(checkpoint, write_wav, capsys):
    assert main(["predict", checkpoint, str(write_wav("a.wav")), "--text", "hello", "--history", "how are you"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.strip().splitlines()]
    scores = [float(row[1]) for row in rows]
    assert len(rows) > 1
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1, abs=0.01)


def test_predict_draws_and_gives_json(checkpoint, write_wav, capsys, tmp_path):
    figure = tmp_path / "figure.png"
    assert (
        main(
            ["predict", checkpoint, str(write_wav("a.wav")), "--text", "hello there", "--json", "--plot", str(figure)]
        )
        == 0
    )
    prediction = json.loads(capsys.readouterr().out)
    assert [word["word"] for word in prediction["words"]] == ["hello", "there"]
    assert len(prediction["frames"]["seconds"]) > 0
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_one_modality_is_enough(checkpoint, write_wav):
    assert main(["predict", checkpoint, "--text", "hello"]) == 0
    assert main(["predict", checkpoint, str(write_wav("a.wav"))]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a sound or video file, --text, or both"),
        (["--text", "hello", "--start", "1"], "are about a file"),
        (["nowhere.wav"], "nowhere.wav: no such audio file"),
    ],
)
def test_bad_input_is_one_line(checkpoint, capsys, arguments, message):
    assert main(["predict", checkpoint, *arguments]) == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert message in error.splitlines()[-1]


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


def test_debug_shows_the_traceback(checkpoint):
    with pytest.raises(ValueError, match="no such audio file"):
        main(["--debug", "predict", checkpoint, "nowhere.wav"])


def test_a_checkpoint_that_is_not_there(capsys, tmp_path):
    assert main(["labels", str(tmp_path / "none")]) == 1
    assert "error:" in capsys.readouterr().err


def test_labels_as_table_and_as_json(checkpoint, capsys):
    assert main(["labels", checkpoint]) == 0
    table = capsys.readouterr().out
    assert main(["labels", checkpoint, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert all(label in table for label in content["labels"])


def test_prepare_writes_what_load_dataset_reads(write_wav, capsys, tmp_path):
    manifest = tmp_path / "corpus.csv"
    with manifest.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip", "emotion", "said"])
        for index, label in enumerate(["glad", "cross", "glad"]):
            writer.writerow([write_wav(f"{index}.wav"), label, f"sentence {index}"])
    columns = json.dumps({"audio": "clip", "text": "said"})
    assert main(["prepare", "manifest", str(manifest), str(tmp_path / "out"), "--columns", columns]) == 0
    assert "cross 1, glad 2" in capsys.readouterr().out
    rows = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert rows.features["label"].names == ["cross", "glad"]
    assert rows["text"][:] == ["sentence 0", "sentence 1", "sentence 2"]


def test_prepare_looks_at_pictures_if_told_to(write_video, capsys, tmp_path):
    manifest = tmp_path / "corpus.csv"
    films = [write_video("a.mp4"), write_video("sound_only.mp4", codec=None)]
    manifest.write_text("".join(f"{line}\n" for line in ("audio,label", f"{films[0]},glad", f"{films[1]},cross")))
    command = ["prepare", "manifest", str(manifest), str(tmp_path / "out")]
    assert main(command) == 0
    assert main([*command, "--check-video", "--overwrite"]) == 1
    assert "row sound_only: " in capsys.readouterr().err
    assert main([*command, "--check-video", "--skip-bad", "--overwrite"]) == 0
    assert "1 utterances" in capsys.readouterr().out


def test_prepare_meld_keeps_the_official_splits(capsys, tmp_path):
    header = "Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    for split, said in (("train", "Hello."), ("dev", "Hm."), ("test", "Bye.")):
        line = f'{said},Ross,joy,positive,0,0,1,1,"00:00:01,000","00:00:02,000"'
        (tmp_path / f"{split}_sent_emo.csv").write_text(f"{header}\r\n{line}\r\n")
    assert main(["prepare", "meld", str(tmp_path), str(tmp_path / "out"), "--task", "sentiment"]) == 0
    assert "3 utterances" in capsys.readouterr().out
    splits = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    texts = {name: rows["text"][:] for name, rows in splits.items()}
    assert texts == {"train": ["Hello."], "validation": ["Hm."], "test": ["Bye."]}
    assert main(["prepare", "meld", str(tmp_path), str(tmp_path / "out"), "--task", "4class"]) == 1
    assert "task '4class' is not one of emotion, sentiment" in capsys.readouterr().err


def test_generate_prints_the_ceilings(capsys, tmp_path):
    assert main(["generate", str(tmp_path / "corpus"), "--num-utterances", "20"]) == 0
    assert "ceiling" in capsys.readouterr().out
    assert (tmp_path / "corpus" / "generated.json").exists()


def test_generate_in_another_language(capsys, tmp_path):
    command = ["generate", str(tmp_path / "corpus"), "--num-utterances", "20", "--language", "zh"]
    assert main(command) == 0
    transcripts = (tmp_path / "corpus").rglob("transcriptions/[!.]*.txt")
    assert all("。" in path.read_text(encoding="utf-8") for path in transcripts)
    assert json.loads((tmp_path / "corpus" / "generated.json").read_text())["settings"]["language"] == "zh"
    assert main([*command, "--layout", "meld"]) == 1
    assert "--language zh is for --layout iemocap" in capsys.readouterr().err


def test_generate_in_the_layout_of_meld(capsys, tmp_path):
    command = ["generate", str(tmp_path / "corpus"), "--layout", "meld", "--num-utterances", "40"]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert "text+speech+video" in output
    assert "0.741" in output
    settings = json.loads((tmp_path / "corpus" / "generated.json").read_text())["settings"]
    assert [settings[f"num_{split}"] for split in ("train", "dev", "test")] == [27, 5, 8]
    assert main([*command, "--seed", "3"]) == 1
    assert "seed 0 (asked for 3)" in capsys.readouterr().err
