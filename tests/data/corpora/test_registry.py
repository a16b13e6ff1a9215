"""`load_dataset("iemocap", data_dir=...)` and `load_dataset("meld", ...)` after the opt-in, and not before."""

import datasets
import pytest
import soundfile
from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES

from hf_mer.data.corpora.iemocap import load_iemocap
from hf_mer.data.corpora.registry import register_datasets

NAMES = ["iemocap", "meld", "crema_d", "emodb", "nemo", "ravdess"]


@pytest.fixture
def release(tmp_path):
    session = tmp_path / "release" / "Session1"
    name = "Ses01F_impro01"
    for folder in ("dialog/EmoEvaluation", "dialog/transcriptions", f"sentences/wav/{name}"):
        (session / folder).mkdir(parents=True)
    (session / f"dialog/EmoEvaluation/{name}.txt").write_text(
        f"[1.0 - 2.0]\t{name}_F000\tfru\t[2, 2, 2]\n[3.0 - 4.0]\t{name}_M000\tneu\t[2, 2, 2]\n"
    )
    (session / f"dialog/transcriptions/{name}.txt").write_text(
        f"{name}_F000 [001.0000-002.0000]: One.\n{name}_M000 [003.0000-004.0000]: Two.\n"
    )
    for utterance in ("F000", "M000"):
        soundfile.write(session / f"sentences/wav/{name}/{name}_{utterance}.wav", [0.1] * 160, 16000)
    return tmp_path / "release"


@pytest.fixture
def registered(monkeypatch):
    for name in NAMES:
        monkeypatch.delitem(_PACKAGED_DATASETS_MODULES, name, raising=False)
    yield register_datasets()
    for name in NAMES:
        _PACKAGED_DATASETS_MODULES.pop(name, None)


def test_load_dataset_by_name(release, registered, tmp_path):
    assert registered == NAMES
    options = {"data_dir": str(release), "cache_dir": str(tmp_path / "cache")}
    four = datasets.load_dataset("iemocap", "4class", **options)
    six = datasets.load_dataset("iemocap", "6class", max_history=0, **options)
    assert four["train"]["text"][:] == ["Two."]
    assert four["train"]["history"][:] == [["One."]]
    assert six["train"]["text"][:] == ["One.", "Two."]
    assert six["train"]["history"][:] == [[], []]
    assert datasets.load_dataset("iemocap", split="train", **options).features["label"].names == [
        *("angry", "happy", "neutral", "sad")
    ]


def test_the_loader_and_load_dataset_share_a_cache(release, registered, tmp_path):
    loaded = load_iemocap(release, check_counts="off", cache_dir=tmp_path / "cache")
    by_name = datasets.load_dataset("iemocap", data_dir=str(release), cache_dir=str(tmp_path / "cache"), split="train")
    assert by_name.cache_files == loaded.cache_files


def test_a_changed_tree_is_noticed(release, registered, tmp_path):
    options = {"data_dir": str(release), "cache_dir": str(tmp_path / "cache"), "split": "train"}
    datasets.load_dataset("iemocap", **options)
    transcript = release / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    transcript.write_text(transcript.read_text().replace("Two.", "Changed."))
    assert datasets.load_dataset("iemocap", **options)["text"][:] == ["Changed."]


def test_meld_by_name_has_its_official_splits(registered, tmp_path):
    header = "Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    for split, said in (("train", "Hello."), ("dev", "Hm."), ("test", "Bye.")):
        line = f'{said},Ross,joy,positive,0,0,1,1,"00:00:01,000","00:00:02,000"'
        (tmp_path / f"{split}_sent_emo.csv").write_text(f"{header}\r\n{line}\r\n")
    options = {"data_dir": str(tmp_path), "cache_dir": str(tmp_path / "cache")}
    splits = datasets.load_dataset("meld", **options)
    assert {name: rows["text"][:] for name, rows in splits.items()} == {
        "train": ["Hello."],
        "validation": ["Hm."],
        "test": ["Bye."],
    }
    assert splits["train"].features["label"].names[4] == "joy"
    by_sentiment = datasets.load_dataset("meld", "sentiment", split="test", **options)
    assert by_sentiment.features["label"].names == ["neutral", "positive", "negative"]


def test_public_corpora_by_name(registered, tmp_path):
    root = tmp_path / "EmoDB"
    (root / "wav").mkdir(parents=True)
    soundfile.write(root / "wav" / "03a01Fa.wav", [0.1] * 160, 16000)
    rows = datasets.load_dataset("emodb", data_dir=str(root), cache_dir=str(tmp_path / "cache"), split="train")
    assert rows["text"][:] == ["Der Lappen liegt auf dem Eisschrank."]
    assert rows.features["label"].int2str(rows[0]["label"]) == "happiness"
    assert rows.info.citation.startswith("@inproceedings{burkhardt2005emodb")
    soundfile.write(root / "wav" / "08a01Wa.wav", [0.1] * 160, 16000)
    again = datasets.load_dataset("emodb", data_dir=str(root), cache_dir=str(tmp_path / "cache"), split="train")
    assert again["speaker"][:] == ["03", "08"]


def test_registering_twice_is_fine_and_never_replaces(registered, monkeypatch):
    assert register_datasets() == NAMES
    monkeypatch.setitem(_PACKAGED_DATASETS_MODULES, "iemocap", ("somebody.elses", "hash"))
    with pytest.raises(RuntimeError, match=r"somebody\.elses"):
        register_datasets()
