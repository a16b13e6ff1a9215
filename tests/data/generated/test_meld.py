"""The generated corpus in MELD's layout: what is drawn, what is written, and what `load_meld` makes of it."""

import csv
import json
from collections import Counter
from dataclasses import replace

import av
import numpy as np
import pytest

from hf_mer.data.corpora.meld import load_meld
from hf_mer.data.corpora.meld_counts import SPLITS, TASKS
from hf_mer.data.generated.face import FaceSettings
from hf_mer.data.generated.generate import GeneratedMeldConfig, generate_meld_corpus, read_truth
from hf_mer.data.generated.plan_meld import LABELS, MAIN_SPEAKERS, MODALITIES, meld_ceilings, plan_meld
from hf_mer.data.generated.sentences import LANGUAGES
from hf_mer.data.generated.voice import VoiceSettings
from hf_mer.data.generated.write_meld import _contract
from hf_mer.data.mark import read_mark
from hf_mer.models.audio_mer import load_audio

TINY = GeneratedMeldConfig(
    num_train=30,
    num_dev=12,
    num_test=16,
    utterances_per_dialogue=6,
    surround_share=0.3,
    voice=VoiceSettings(word_seconds=(0.06, 0.1)),
    face=FaceSettings(size=32),
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("generated") / "corpus"
    generate_meld_corpus(root, TINY, progress=False)
    return root


@pytest.fixture(scope="module")
def truth(corpus):
    return {row["id"]: row for row in read_truth(corpus)}


@pytest.fixture(scope="module")
def rows(corpus, tmp_path_factory):
    return load_meld(corpus, cache_dir=tmp_path_factory.mktemp("cache"))


def content(root):
    """Every text file as it is, every clip as decoded pictures and samples."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.suffix != ".mp4":
            found[name] = path.read_bytes() if path.is_file() else None
            continue
        try:
            with av.open(str(path)) as container:
                pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            found[name] = np.stack(pictures).tobytes() + load_audio(path).tobytes()
        except av.FFmpegError:
            found[name] = "broken"
    return found


def test_same_settings_same_content_with_any_number_of_processes(corpus, tmp_path):
    generate_meld_corpus(tmp_path / "again", TINY, num_proc=2, progress=False)
    one, other = content(corpus), content(tmp_path / "again")
    assert one.keys() == other.keys()
    assert all(one[name] == other[name] for name in one)


def test_another_seed_gives_another_corpus():
    plans = [plan_meld(replace(TINY, seed=seed)) for seed in (0, 0, 1)]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]


def test_layout(corpus):
    for path in (
        *("train/train_sent_emo.csv", "dev_sent_emo.csv", "test_sent_emo.csv", "generated.json"),
        *("train/train_splits", "dev/dev_splits_complete", "test/output_repeated_splits_test"),
    ):
        assert (corpus / path).exists(), path
    text = (corpus / "train/train_sent_emo.csv").read_bytes()
    assert text.startswith(b"Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,")
    assert text.count(b"\r\n") == text.count(b"\n") == 31


def test_rows_are_what_was_planned(rows, truth):
    assert Counter(rows["split"]) == {"train": 30, "dev": 12, "test": 16}
    assert [row["id"] for row in rows] == list(truth)
    for row in rows:
        assert rows.features["label"].int2str(row["label"]) == truth[row["id"]]["label"]
        assert row["end"] - row["start"] == pytest.approx(row["duration"], abs=0.05)
        for start, end in truth[row["id"]]["face_spans"] + truth[row["id"]]["salient_spans"]:
            assert 0 <= start < end <= row["duration"] + 0.05


def test_every_oddity_is_read_back(corpus, rows, truth):
    by_id = {row["id"]: row for row in rows}
    of_kind = {kind: [name for name, one in truth.items() if one["clip"] == kind] for kind in ODDITIES}
    assert {kind: len(names) for kind, names in of_kind.items()} == ODDITIES
    for kind in ("missing", "short", "broken"):
        (name,) = of_kind[kind]
        assert by_id[name]["audio"] is None
        assert by_id[name]["video"] is None
        assert by_id[name]["text"]
    (corrected,) = of_kind["corrected"]
    path = by_id[corrected]["audio"]["path"]
    assert "/final_videos_testdia" in path
    wrong = path.replace("final_videos_test", "")
    assert not np.array_equal(load_audio(wrong), load_audio(path))
    clips = list((corpus / "dev/dev_splits_complete").iterdir())
    assert len(clips) == 12 + 1  # one that nobody annotated
    assert sum(row["split"] == "dev" for row in rows) == 12
    assert any(row["turn"] != place for place, row in enumerate(r for r in rows if r["dialogue"] == "train_dia0"))
    assert "train_dia1" not in set(rows["dialogue"])


ODDITIES = {"plain": 54, "missing": 1, "short": 1, "broken": 1, "corrected": 1}


def test_some_texts_have_control_characters():
    rng = np.random.default_rng(0)
    texts = {_contract("Okay, it was great, anyway.", rng) for _ in range(100)}
    assert "Okay, it was great, anyway." in texts
    assert any("Y\x92know," in text for text in texts)
    assert any("y\u2019know." in text for text in texts)
    assert all(len(text.split()) == 5 for text in texts)


def test_sound_is_in_the_centre_channel_at_48_khz(rows):
    layouts = set()
    for row in rows:
        if row["audio"] is None:
            continue
        with av.open(row["audio"]["path"]) as container:
            stream = container.streams.audio[0]
            layouts.add(stream.layout.name)
            assert stream.sample_rate == 48_000
            if stream.layout.name == "stereo":
                continue
            blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        channels = np.concatenate(blocks, axis=1)
        speech = load_audio(row["audio"]["path"], sampling_rate=48_000)
        assert np.abs(channels[2, : len(speech)] - speech[: channels.shape[1]]).max() < 1e-4
        assert min(channels[place].std() for place in (0, 1, 4, 5)) > 0.07  # LFE holds low tones only
    assert layouts == {"stereo", "5.1"}


def test_words_carry_valence_and_nothing_else(rows, truth):
    marked = {
        word: sign for sign in (1, -1) for words in LANGUAGES["en"].valence_words[sign].values() for word in words
    }
    for row in rows:
        one = truth[row["id"]]
        found = {
            marked[word.strip(".,:").lower()] for word in row["text"].split() if word.strip(".,:").lower() in marked
        }
        assert found == (set() if one["history_only"] else {one["valence_cue"]})
        words = row["text"].split()
        assert all(words[place].strip(".,:").lower() in marked for place in one["salient_words"])


def test_history_carries_what_the_words_do_not(rows, truth):
    texts = {row["id"]: row["text"] for row in rows}
    told = [row for row in rows if truth[row["id"]]["history_only"]]
    assert len(told) == round(0.2 * 30) + round(0.2 * 12) + round(0.2 * 16)
    for row in told:
        source = truth[truth[row["id"]]["source"]]
        assert source["valence_cue"] == truth[row["id"]]["valence_cue"]
        assert texts[source["id"]] in row["history"]


def test_ceilings_of_the_default():
    ceilings = meld_ceilings(GeneratedMeldConfig())
    right = 0.9
    for scores in (ceilings.wa, ceilings.ua):  # with balanced classes they are the same
        assert scores["chance"] == pytest.approx(1 / 7)
        for name in MODALITIES:
            assert scores[name] == pytest.approx(2 * right / 7)
        for name in ("text+speech", "text+video", "speech+video"):
            assert scores[name] == pytest.approx(4 * right**2 / 7)
        assert scores["text+speech+video"] == pytest.approx((6 * right**3 + right**2) / 7)
        assert scores["text_without_history"] == pytest.approx((0.8 * 2 * right + 0.2) / 7)


@pytest.mark.parametrize("neutral_share", [1 / 7, 0.4])
def test_ceilings_against_sampling(neutral_share):
    """The best rule for every view, learnt on one half of many planned utterances, scored on the other."""
    config = GeneratedMeldConfig(num_train=8000, num_dev=4, num_test=8000, neutral_share=neutral_share)
    ceilings = meld_ceilings(config)
    parts = {split: [] for split in SPLITS}
    for dialogue in plan_meld(config):
        for one in dialogue.utterances:
            views = {"text_without_history": (one.valence if one.own_words else 0,), "chance": ()}
            cues = {"text": one.valence, "speech": one.arousal, "video": one.dominance}
            for seen in (("text",), ("speech",), ("video",), ("text", "video"), ("text", "speech", "video")):
                views["+".join(seen)] = tuple(cues[name] for name in seen)
            views["text+speech+video_without_history"] = (*views["text_without_history"], one.arousal, one.dominance)
            parts[dialogue.part].append((one.label, views))
    for name in parts["train"][0][1]:
        counts = Counter((views[name], emotion) for emotion, views in parts["train"])
        share = Counter(emotion for emotion, _ in parts["train"])
        for score, weight in (("wa", dict.fromkeys(share, 1)), ("ua", {one: 1 / share[one] for one in share})):
            best = {}
            for (view, emotion), count in counts.items():
                best[view] = max(best.get(view, (0, "")), (count * weight[emotion], emotion))
            hits = Counter(emotion for emotion, views in parts["test"] if best[views[name]][1] == emotion)
            total = Counter(emotion for emotion, _ in parts["test"])
            found = {
                "wa": sum(hits.values()) / sum(total.values()),
                "ua": np.mean([hits[one] / total[one] for one in total]),
            }[score]
            assert found == pytest.approx(getattr(ceilings, score)[name], abs=0.02), (name, score)


def test_emotions_cues_and_speakers_of_a_large_plan():
    config = GeneratedMeldConfig(num_train=20_000, num_dev=4, num_test=4)
    utterances = [one for dialogue in plan_meld(config) for one in dialogue.utterances]
    counts = Counter(one.label for one in utterances)
    assert set(counts) == set(TASKS["emotion"])
    assert max(counts.values()) / min(counts.values()) < 1.1
    sign = {name: cue for cue, name in LABELS.items()}
    others = [one for one in utterances if one.label != "neutral"]
    for place, cue in enumerate(("valence", "arousal", "dominance")):
        agree = np.mean([getattr(one, cue) == sign[one.label][place] for one in others])
        assert agree == pytest.approx(0.9, abs=0.01), cue
    told = [one for one in others if not one.own_words]
    assert np.mean([one.valence == sign[one.label][0] for one in told]) == pytest.approx(0.9, abs=0.02)
    for speaker in MAIN_SPEAKERS:  # who speaks tells nothing of the emotion
        own = Counter(one.label for one in utterances if one.speaker == speaker)
        assert max(own.values()) / sum(own.values()) < 0.18


def test_the_test_split_is_mostly_by_speakers_of_the_training_split():
    speakers = {split: [] for split in SPLITS}
    for dialogue in plan_meld(GeneratedMeldConfig()):
        speakers[dialogue.part] += [one.speaker for one in dialogue.utterances]
    known = np.mean([speaker in speakers["train"] for speaker in speakers["test"]])
    assert 0.8 < known < 0.99
    assert set(MAIN_SPEAKERS) <= set(speakers["test"])


def test_ceilings_are_read_back_and_printed(corpus):
    ceilings = meld_ceilings(TINY)
    assert read_mark(corpus)["ceilings"] == ceilings.as_dict()
    lines = ceilings.table().splitlines()
    assert lines[0].split() == ["ceiling", "of", "WA", "UA"]
    assert len(lines) == 1 + 12


def test_folder_is_reused_or_refused(corpus, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    ceilings = generate_meld_corpus(corpus, TINY, progress=False)
    assert ceilings.as_dict() == read_mark(corpus)["ceilings"]
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before
    with pytest.raises(FileExistsError, match=r"seed 0 \(asked for 7\)"):
        generate_meld_corpus(corpus, replace(TINY, seed=7), progress=False)
    assert json.loads((corpus / "generated.json").read_text())["settings"]["layout"] == "meld"


def test_nothing_stays_behind_when_writing_fails(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("hf_mer.data.generated.write_meld.write_clip", fail)
    with pytest.raises(OSError, match="disk full"):
        generate_meld_corpus(tmp_path / "corpus", TINY, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_cannot_be_met_are_named_together():
    with pytest.raises(
        ValueError, match=r"(?s)num_dev=1 .*cue_reliability=0\.4.*words_per_utterance=\(2, 8\).*size=31.*fps=0"
    ):
        GeneratedMeldConfig(
            num_dev=1, cue_reliability=0.4, words_per_utterance=(2, 8), face=FaceSettings(size=31, fps=0)
        )
    with pytest.raises(ValueError, match=r"history_share=0\.8 asks for 80 utterances .* in the train split"):
        plan_meld(GeneratedMeldConfig(history_share=0.8, utterances_per_dialogue=2, num_train=100))


def test_annotations_are_plain_csv(corpus):
    with (corpus / "test_sent_emo.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 16
    assert {line["Emotion"] for line in lines} <= set(TASKS["emotion"])
