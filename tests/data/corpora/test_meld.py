"""MELD on small trees of the release's exact shape, with each of its oddities, and the published counts."""

import csv
import logging
import os
import shutil

import numpy as np
import pytest

from hf_mer.data.check_files import check_audio
from hf_mer.data.corpora.meld import TASKS, compare_counts, load_meld
from hf_mer.data.corpora.meld_counts import DIALOGUE_COUNTS, LABEL_COUNTS, SPLITS
from hf_mer.data.corpora.meld_files import mend_text, parse_time
from hf_mer.data.generated.clip import write_clip
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset

HEADER = [
    "Sr No.",
    "Utterance",
    "Speaker",
    "Emotion",
    "Sentiment",
    "Dialogue_ID",
    "Utterance_ID",
    "Season",
    "Episode",
    "StartTime",
    "EndTime",
]
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
# (dialogue, utterance, text, speaker, emotion, sentiment); not in order, with a gap, a mojibake and quoted commas
LINES = {
    "train": [
        (0, 0, "You must\x92ve had your hands full.", "The Interviewer", "neutral", "neutral"),
        (0, 1, "That I did, that I did.", "Chandler", "neutral", "neutral"),
        (0, 5, 'He said "no".', "Richard\x92s Date", "surprise", "negative"),
        (0, 3, "Oh no!", "Chandler", "fear", "negative"),
        (1, 0, "Too short.", "Ross", "sadness", "negative"),
        (1, 1, "No clip.", "Ross", "joy", "positive"),
        (1, 2, "Broken clip.", "Ross", "disgust", "negative"),
        (1, 3, "Long clip.", "Monica", "anger", "negative"),
    ],
    "dev": [(0, 0, "Hi.", "Joey", "joy", "positive"), (0, 1, "Hey.", "Ross", "Neutral", "neutral")],
    "test": [(0, 0, "Corrected.", "Ross", "anger", "negative"), (0, 1, "Fine.", "Ross", "surprise", "positive")],
}
TIMES = ("00:16:16,059", "0:16:21,31")


def write_lines(path, lines, columns=HEADER, encoding="utf-8", times=TIMES):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\r\n")
        writer.writeheader()
        for number, line in enumerate(lines, start=1):
            names = ("Dialogue_ID", "Utterance_ID", "Utterance", "Speaker", "Emotion", "Sentiment")
            values = {"Sr No.": number, "Season": 8, "Episode": 21, "StartTime": times[0], "EndTime": times[1]}
            writer.writerow({**values, **dict(zip(names, line, strict=True))})


def clip(path, seconds=0.3, layout="stereo"):
    path.parent.mkdir(parents=True, exist_ok=True)
    channels = {"stereo": 2, "5.1": 6}[layout]
    sound = np.random.default_rng(0).normal(0, 0.1, (channels, int(48_000 * seconds)))
    frames = np.zeros((max(1, int(8 * seconds)), 16, 16, 3), dtype=np.uint8)
    write_clip(path, frames, 8, sound, 48_000, layout)


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    """Annotations at the root, clips in folders at the root."""
    root = tmp_path_factory.mktemp("meld") / "MELD.Raw"
    for split, lines in LINES.items():
        write_lines(root / f"{split}_sent_emo.csv", lines)
        for dialogue, utterance, text, *_ in lines:
            path = root / FOLDERS[split] / f"dia{dialogue}_utt{utterance}.mp4"
            if text == "Broken clip.":
                path.write_bytes(b"\x00\x00\x00\x1cftypisom, and then nothing")
            elif text != "No clip.":
                seconds = {"Too short.": 0.06, "Long clip.": 31, "Corrected.": 0.5}.get(text, 0.3)
                clip(path, seconds, "5.1" if split == "dev" else "stereo")
    clip(root / FOLDERS["test"] / "final_videos_testdia0_utt0.mp4", 1.0)
    clip(root / FOLDERS["test"] / "final_videos_testdia9_utt0.mp4")  # nobody annotated these
    clip(root / FOLDERS["dev"] / "dia7_utt0.mp4")
    (root / FOLDERS["test"] / "._final_videos_testdia0_utt1.mp4").write_bytes(b"\x00\x05\x16\x07")
    return root


@pytest.fixture
def tree(master, tmp_path):
    return shutil.copytree(master, tmp_path / "MELD.Raw", copy_function=shutil.copy2)


def load(root, **options):
    return load_meld(root, cache_dir=root.parent / "cache", **{"check_counts": "off", **options})


def by_id(rows):
    return {row["id"]: row for row in rows}


def test_rows(tree):
    rows = load(tree)
    assert rows.features["label"].names == ["neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger"]
    assert rows["split"][:] == ["train"] * 8 + ["dev"] * 2 + ["test"] * 2
    row = by_id(rows)["train_dia0_utt3"]
    assert (row["speaker"], row["dialogue"], row["session"], row["turn"]) == ("Chandler", "train_dia0", "s08e21", 3)
    assert rows.features["label"].int2str(row["label"]) == "fear"
    assert (row["start"], row["end"]) == (pytest.approx(976.059), pytest.approx(981.031))
    assert row["duration"] == pytest.approx(0.3, abs=0.03)  # of the clip
    path = str(tree / "train_splits" / "dia0_utt3.mp4")
    assert row["audio"] == {"bytes": None, "path": path}
    assert row["video"] == {"path": path, "start": None, "end": None, "side": None}


def test_sentiment(tree):
    rows = load(tree, task="sentiment")
    assert rows.features["label"].names == ["neutral", "positive", "negative"]
    assert [row["label"] for row in rows if row["dialogue"] == "train_dia0"] == [0, 0, 2, 2]


def test_text_is_mended(tree):
    found = by_id(load(tree))
    assert found["train_dia0_utt0"]["text"] == "You must\u2019ve had your hands full."
    assert found["train_dia0_utt5"]["speaker"] == "Richard\u2019s Date"
    assert found["train_dia0_utt5"]["text"] == 'He said "no".'
    assert found["train_dia0_utt1"]["text"] == "That I did, that I did."
    assert mend_text("caf\xe9 \x85 na\xefve \x97\x81 ok\r\n") == "caf\xe9 \u2026 na\xefve \u2014 ok"


def test_history_follows_the_utterance_ids(tree):
    found = by_id(load(tree))
    assert found["train_dia0_utt0"]["history"] == []
    assert found["train_dia0_utt5"]["history"] == [
        *("You must\u2019ve had your hands full.", "That I did, that I did.", "Oh no!")
    ]
    assert by_id(load(tree, max_history=1))["train_dia0_utt5"]["history"] == ["Oh no!"]
    assert found["dev_dia0_utt0"]["history"] == []  # dialogue 0 of another split


def test_clips_that_cannot_be_used(tree, caplog):
    with caplog.at_level(logging.INFO, logger="hf_mer"):
        found = by_id(load(tree))
    for utterance in (0, 1, 2):
        row = found[f"train_dia1_utt{utterance}"]
        assert row["text"]
        assert row["audio"] is None
        assert row["video"] is None
        assert row["duration"] == pytest.approx(4.972, abs=1e-3)  # of the annotation
    assert found["train_dia1_utt3"]["duration"] == pytest.approx(31, abs=0.1)
    assert found["train_dia1_utt3"]["audio"] is not None
    (summary,) = [record.getMessage() for record in caplog.records if "max_audio_seconds" in record.getMessage()]
    assert "3 of 12 utterances" in summary
    assert "(train_dia1_utt0, train_dia1_utt1, train_dia1_utt2); 1 clips are longer than 30 s" in summary
    messages = "\n".join(record.getMessage() for record in caplog.records)
    assert "train: no clip of 1 utterances (train_dia1_utt1)" in messages
    assert "dia1_utt2.mp4: cannot be opened" in messages
    assert "test: 1 clips without annotation are not used (final_videos_testdia9_utt0.mp4)" in messages
    skipped = load(tree, on_bad_clip="skip")
    assert len(skipped) == 9
    assert by_id(skipped)["train_dia1_utt3"]["history"] == ["Too short.", "No clip.", "Broken clip."]
    with pytest.raises(CorpusError, match=r"(?s)3 problems.*row train_dia1_utt0.*on_bad_clip='keep'"):
        load(tree, on_bad_clip="raise")
    assert by_id(load(tree, min_clip_seconds=0.01))["train_dia1_utt0"]["audio"] is not None


def test_the_rows_pass_the_check_of_audio(tree):
    checked = by_id(check_audio(load(tree)))
    assert checked["train_dia1_utt1"]["audio"] is None
    assert checked["test_dia0_utt0"]["duration"] == pytest.approx(1.0, abs=0.05)


def test_corrected_clips_are_taken(tree):
    row = by_id(load(tree))["test_dia0_utt0"]
    assert os.path.basename(row["audio"]["path"]) == "final_videos_testdia0_utt0.mp4"
    assert row["video"]["path"] == row["audio"]["path"]
    assert row["duration"] == pytest.approx(1.0, abs=0.03)


def test_clips_of_nobody_and_leftovers_make_no_rows(tree):
    assert len(load(tree)) == 12


def without_paths(rows):
    return [{**row, "audio": bool(row["audio"]), "video": bool(row["video"])} for row in rows]


def test_the_other_layout_and_the_parent_folder(tree, tmp_path):
    before = without_paths(load(tree))
    other = tmp_path / "other" / "MELD.Raw"
    for split, folder in FOLDERS.items():
        shutil.copytree(tree / folder, other / split / folder)
    shutil.copy(tree / "train_sent_emo.csv", other / "train" / "train_sent_emo.csv")
    shutil.copy(tree / "dev_sent_emo.csv", other / "dev_sent_emo.csv")
    shutil.copy(tree / "test_sent_emo.csv", other / "test" / FOLDERS["test"] / "test_sent_emo.csv")
    assert without_paths(load(other)) == before
    assert load(other.parent)["id"][:] == load(other)["id"][:]


def test_annotations_alone_are_enough(tree, caplog):
    for folder in FOLDERS.values():
        shutil.rmtree(tree / folder)
    with caplog.at_level(logging.INFO, logger="hf_mer"):
        rows = load(tree, on_bad_clip="raise")
    assert len(rows) == 12
    assert all(row["audio"] is None and row["video"] is None for row in rows)
    assert "text only" in caplog.text


def test_a_split_without_clips_is_named(tree, caplog):
    shutil.rmtree(tree / FOLDERS["dev"])
    rows = load(tree)
    assert "no folder of clips for the split dev" in caplog.text
    assert sum(row["audio"] is None for row in rows) == 5


def test_a_wrong_folder_says_what_was_looked_for(tmp_path):
    (tmp_path / "train.tar.gz").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"looked for train_sent_emo.csv.*it contains train.tar.gz.*unpack"):
        load_meld(tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        load_meld(tmp_path / "nowhere")


def test_every_bad_line_is_in_one_error(tree):
    train, dev, test = (tree / f"{split}_sent_emo.csv" for split in SPLITS)
    bad = [
        (0, 0, "Fine.", "Ross", "happy", "negative"),
        (0, 1, "Fine.", "Ross", "joy", "good"),
        ("x", -1, "Fine.", "Ross", "joy", "positive"),
        (0, 2, "Fine.", "Ross", "joy", "positive"),
        (0, 2, "Fine.", "Ross", "joy", "positive"),
    ]
    write_lines(train, bad)
    train.write_bytes(train.read_bytes() + b"7,too,few\r\n")
    write_lines(dev, LINES["dev"], columns=[name for name in HEADER if name != "Speaker"])
    write_lines(test, LINES["test"], times=("12:30", "00:00:01,000"))
    with pytest.raises(CorpusError) as caught:
        load(tree)
    problems = "\n".join(caught.value.problems)
    for expected in (
        "train_sent_emo.csv, line 2: Emotion 'happy' is not one of neutral, surprise, fear, sadness, joy, disgust",
        "line 3: Sentiment 'good' is not one of neutral, positive, negative",
        "line 4: Dialogue_ID 'x' is not a number",
        "line 4: Utterance_ID '-1' is not a number",
        "line 6: Dialogue_ID 0, Utterance_ID 2 occurs twice",
        "line 7: 3 cells, but the header has",
        "dev_sent_emo.csv: no column Speaker; it has Sr No., Utterance,",
        "test_sent_emo.csv, line 2: StartTime '12:30' is not hours:minutes:seconds,milliseconds",
    ):
        assert expected in problems, expected
    assert len(caught.value.problems) == 9
    write_lines(test, LINES["test"], times=("00:00:02,000", "00:00:01,000"))
    write_lines(dev, [(0, 0, "caf\xe9", "Joey", "joy", "positive")], encoding="latin-1")
    with pytest.raises(CorpusError, match=r"(?s)not utf-8 at byte.*EndTime '00:00:01,000' is before"):
        load(tree)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:16:16,059", 976.059), ("0:00:01,82", 1.082), ("1:00:00,000", 3600), ("00:16:16", None), ("", None)],
)
def test_times(text, seconds):
    assert parse_time(text) == (None if seconds is None else pytest.approx(seconds))


def test_a_changed_tree_is_read_anew_and_an_unchanged_one_is_not(tree, monkeypatch):
    before = by_id(load(tree))["dev_dia0_utt0"]
    write_lines(tree / "dev_sent_emo.csv", [(0, 0, "Bye.", "Joey", "joy", "positive")])
    clip(tree / FOLDERS["dev"] / "dia0_utt0.mp4", 0.6)
    after = by_id(load(tree))["dev_dia0_utt0"]
    assert (before["text"], after["text"]) == ("Hi.", "Bye.")
    assert (before["duration"], after["duration"]) == (pytest.approx(0.3, abs=0.03), pytest.approx(0.6, abs=0.03))
    fingerprint = load(tree)._fingerprint
    monkeypatch.setattr("hf_mer.data.corpora.meld.probe_clip", lambda *_: pytest.fail("read again"))
    assert load(tree)._fingerprint == fingerprint


def test_the_official_split(tree):
    write_lines(  # every class has to be in the training split
        tree / "train_sent_emo.csv",
        [(0, i, "Said.", "Ross", name, "neutral") for i, name in enumerate(TASKS["emotion"])],
    )
    fold = load(tree, protocol="official", fold=0)
    assert {name: len(part) for name, part in fold.items()} == {"train": 7, "validation": 2, "test": 2}
    assert set(fold["validation"]["split"]) == {"dev"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "emotions"}, "emotion, sentiment"),
        ({"on_bad_clip": "ignore"}, "'keep', 'skip' or 'raise'"),
        ({"check_counts": "maybe"}, "'auto', 'strict' or 'off'"),
        ({"fold": 0}, "need a `protocol`"),
        ({"protocol": "random"}, "leave_one_main_speaker_out"),
    ],
)
def test_unknown_options(tree, options, message):
    with pytest.raises(ValueError, match=message):
        load(tree, **options)


def test_published_totals():
    for task in TASKS:
        assert set(LABEL_COUNTS[task]) == set(TASKS[task])
        assert [sum(counts[i] for counts in LABEL_COUNTS[task].values()) for i in range(3)] == [9989, 1109, 2610]


def test_counts_are_compared(tmp_path):
    records = []
    for place, split in enumerate(SPLITS):
        number = 0
        for label, name in enumerate(TASKS["emotion"]):
            for _ in range(LABEL_COUNTS["emotion"][name][place]):
                dialogue = f"{split}_dia{number % DIALOGUE_COUNTS[split]}"
                records.append(make_record(id=f"{split}{number}", split=split, dialogue=dialogue, label=label))
                number += 1
    rows = records_to_dataset(records, TASKS["emotion"], tmp_path)
    assert compare_counts(rows) == []
    assert compare_counts(rows.select(range(1, len(rows)))) == [
        "train neutral: 4709 utterances, published 4710",
        "in all: 13707 utterances, published 13708",
    ]
    without = rows.filter(lambda dialogue: dialogue != "dev_dia3", input_columns="dialogue")
    assert "dev: 113 dialogues, published 114" in compare_counts(without)


def test_count_checks(tree, caplog):
    with pytest.raises(CorpusError, match=r"(?s)counts of the emotion task.*train neutral: 2 utterances"):
        load(tree, check_counts="strict")
    for _ in range(2):
        load(tree, check_counts="auto")
    assert caplog.text.count("differs from the published counts") == 1
    caplog.clear()
    (tree / "generated.json").write_text("{}")
    load(tree, check_counts="auto")
    assert "published counts" not in caplog.text


@pytest.mark.corpus
def test_the_release(tmp_path):
    """Set HF_MER_MELD to the folder of the release, or of its annotation files."""
    if "HF_MER_MELD" not in os.environ:
        pytest.skip("HF_MER_MELD is not set")
    for task in TASKS:
        rows = load_meld(os.environ["HF_MER_MELD"], task, check_counts="strict", cache_dir=tmp_path)
        assert len(rows) == 13708
        assert all(len(history) <= 10 for history in rows["history"])
