"""`hf-mer prepare` and `hf-mer generate`, called as a shell would call them, in this process."""

import csv
import json

from datasets import load_dataset

from hf_mer.cli import main


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


def test_prepare_a_public_corpus_by_name(write_wav, capsys, tmp_path):
    for name in ("03a01Fa", "08b10Wc"):
        write_wav(f"EmoDB/wav/{name}.wav")
    release = str(tmp_path / "EmoDB")
    assert main(["prepare", "emodb", release, str(tmp_path / "out")]) == 0
    assert "2 utterances in" in capsys.readouterr().out
    rows = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert rows["gender"][:] == ["male", "female"]
    about = json.loads((tmp_path / "out" / "corpus.json").read_text())
    assert (about["corpus"], about["title"], about["redistributable"]) == ("emodb", "EmoDB", False)
    assert about["command"] == "hf-mer prepare emodb SOURCE prepared"
    assert main(["prepare", "ravdess", release, str(tmp_path / "other")]) == 1
    assert "this is EmoDB: --corpus emodb" in capsys.readouterr().err
    assert main(["prepare", "emodb", release, str(tmp_path / "other"), "--task", "x"]) == 1
    assert "--task cannot be used with emodb" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


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
    assert "--language zh needs --layout iemocap" in capsys.readouterr().err


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
