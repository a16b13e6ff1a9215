"""IEMOCAP on small trees of the release's exact shape, with each of its oddities, and the published counts."""

import logging
import os

import pytest
import soundfile
from media_files import shown

from hf_mer.data.corpora.iemocap import TASKS, compare_counts, load_iemocap
from hf_mer.data.corpora.iemocap_counts import (
    LABEL_COUNTS,
    PART_COUNTS_4CLASS,
    SPEAKER_COUNTS_4CLASS,
    published_counts,
)
from hf_mer.data.schema import CorpusError, make_record, records_to_dataset
from hf_mer.models.video_mer import load_video

HEADER = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"


def add_dialogue(root, name, ratings, transcript, wavs=None):
    """Writes the three parts of a dialogue; `ratings` are (id, label, start, end), `transcript` is raw text."""
    session = root / f"Session{name[4]}"
    for folder in ("dialog/EmoEvaluation/Categorical", "dialog/transcriptions", f"sentences/wav/{name}"):
        (session / folder).mkdir(parents=True, exist_ok=True)
    blocks = [
        f"[{start:.4f} - {end:.4f}]\t{utterance}\t{label}\t[2.5000, 3.0000, 3.5000]\n"
        "C-E2:\tNeutral;\t()\nC-F1:\tNeutral; Frustration;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
        for utterance, label, start, end in ratings
    ]
    (session / "dialog/EmoEvaluation" / f"{name}.txt").write_text(HEADER + "".join(blocks))
    (session / "dialog/transcriptions" / f"{name}.txt").write_text(transcript)
    for utterance in [rating[0] for rating in ratings] if wavs is None else wavs:
        soundfile.write(session / "sentences/wav" / name / f"{utterance}.wav", [0.1] * 160, 16000)


@pytest.fixture
def tree(tmp_path):
    """One release with every oddity in it."""
    root = tmp_path / "IEMOCAP_full_release"
    one = "Ses01F_impro01"
    add_dialogue(
        root,
        one,
        [
            (f"{one}_F000", "neu", 6.2901, 8.2357),
            (f"{one}_M000", "xxx", 9.0, 10.0),
            (f"{one}_M001", "hap", 12.0, 14.0),
            (f"{one}_F001", "exc", 15.0, 17.5),
            (f"{one}_F002", "fru", 18.0, 19.0),
            (f"{one}_F003", "ang", 20.0, 21.0),
        ],
        f"{one}_F000 [006.2901-008.2358]: Excuse me.\n"
        # not in order of time
        f"{one}_M001 [012.0000-014.0000]: It says: [LAUGHTER] note]: stay.\n"
        f"{one}_M000 [009.0000-010.0000]: Nobody agreed on this.\n"
        f"{one}_FXX0 [011.0000-011.5000]: Not segmented.\n"
        f"{one}_F001 [015.0000-017.5000]: [LAUGHTER]\n"
        "M: Without an id.\n"
        f"{one}_MXX0: Without a time.\n"
        "garbled line\n"
        "\n"
        f"{one}_F003: Rated, but no time here.\n"
        f"{one}_F002 [018.0000-019.0000]: So: it goes.\n",
    )
    for name in ("Ses03M_impro05a", "Ses03M_impro08b", "Ses05M_script01_1b"):
        add_dialogue(root, name, [(f"{name}_F000", "sad", 1, 2)], f"{name}_F000 [001.0000-002.0000]: Sad line.\n")
    # leftovers of a Mac, and the raters' own files
    session = root / "Session1"
    (session / "dialog/EmoEvaluation" / f"._{one}.txt").write_bytes(b"\x00\x05\x16\x07\xff")
    (session / "dialog/transcriptions" / f"._{one}.txt").write_bytes(b"\x00\x05\x16\x07\xff")
    (session / "sentences/wav" / one / f"._{one}_F000.wav").write_bytes(b"\x00\x05")
    (session / "sentences/wav" / "._leftover").mkdir()
    (session / "dialog/EmoEvaluation/Categorical" / f"{one}_e1_cat.txt").write_text(f"{one}_F000 :Anger; ()\n")
    return root


def load(root, **options):
    release = root if (root / "Session1").is_dir() else root / "IEMOCAP_full_release"
    return load_iemocap(root, cache_dir=release.parent / "cache", **{"check_counts": "off", **options})


def by_id(rows):
    return {row["id"].removeprefix("Ses01F_impro01_"): row for row in rows}


def test_votes_are_shares_of_the_tasks_classes(tree):
    path = tree / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    said = {
        "F000": "C-E2:\tNeutral;\t()\nC-E3:\tNeutral; Sadness;\t()\nC-F1:\tAnger;\t()\n",
        "M001": "C-E2:\tHappiness;\t()\nC-E3:\tExcited;\t(loud)\nC-E4:\tFrustration;\t()\n",
        "F001": "C-E2:\tOther;\t()\nC-E3:\tFrustration;\t()\n",
    }
    blocks = path.read_text().split("\n\n")
    for place, block in enumerate(blocks):
        for name, lines in said.items():
            if f"_{name}\t" in block:
                blocks[place] = f"{block.splitlines()[0]}\n{lines}A-E3:\tval 3; act 2; dom  2;\t()"
    path.write_text("\n\n".join(blocks))
    found = by_id(load(tree))  # angry, happy, neutral, sad
    assert found["F000"]["votes"] == [0, 0, 0.75, 0.25]
    assert found["M001"]["votes"] == [0, 1, 0, 0]
    assert found["F001"]["votes"] is None
    found = by_id(load(tree, task="6class"))  # angry, excited, frustrated, happy, neutral, sad
    assert found["M001"]["votes"] == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 0, 0])
    assert found["F001"]["votes"] == [0, 0, 1, 0, 0, 0]


def test_rows_of_the_four_classes(tree):
    rows = load(tree)
    assert rows.features["label"].names == ["angry", "happy", "neutral", "sad"]
    found = by_id(rows)
    assert set(found) == {
        *("F000", "M001", "F001", "F003"),
        *("Ses03M_impro05a_F000", "Ses03M_impro08b_F000", "Ses05M_script01_1b_F000"),
    }
    name = rows.features["label"].int2str
    assert [name(found[one]["label"]) for one in ("F000", "M001", "F001", "F003")] == [
        *("neutral", "happy", "happy", "angry")
    ]
    first = found["F000"]
    assert (first["text"], first["session"], first["dialogue"], first["turn"]) == (
        *("Excuse me.", "Ses01", "Ses01F_impro01", 0),
    )
    assert (first["valence"], first["arousal"], first["dominance"]) == (2.5, 3.0, 3.5)
    assert first["start"] == pytest.approx(6.2901)
    assert first["duration"] == pytest.approx(1.9456)
    assert first["audio"]["bytes"] is None
    assert soundfile.info(first["audio"]["path"]).frames == 160


def test_speaker_is_in_the_last_token(tree):
    found = by_id(load(tree))
    assert found["F000"]["speaker"] == "Ses01_F"
    assert (found["F000"]["gender"], found["M001"]["gender"]) == ("female", "male")
    assert found["M001"]["speaker"] == "Ses01_M"  # the dialogue's fifth letter is F
    assert found["Ses05M_script01_1b_F000"]["speaker"] == "Ses05_F"
    assert found["Ses05M_script01_1b_F000"]["part"] == "scripted"
    assert found["Ses03M_impro05a_F000"]["part"] == "improvised"


def test_text_is_split_at_the_first_mark_only(tree):
    found = by_id(load(tree))
    assert found["M001"]["text"] == "It says: [LAUGHTER] note]: stay."
    assert found["F003"]["text"] == "Rated, but no time here."


def test_history_is_everything_said_before(tree):
    found = by_id(load(tree))
    assert found["F000"]["history"] == []
    assert found["M001"]["history"] == ["Excuse me.", "Nobody agreed on this.", "Not segmented."]
    assert found["F003"]["history"] == [
        "Excuse me.",
        "Nobody agreed on this.",
        "Not segmented.",
        "It says: [LAUGHTER] note]: stay.",
        "[LAUGHTER]",
        "Without an id.",
        "Without a time.",
        "So: it goes.",  # frustrated is not a class of this task
    ]
    assert by_id(load(tree, max_history=2))["F003"]["history"] == ["Without a time.", "So: it goes."]
    assert by_id(load(tree, max_history=0))["F003"]["history"] == []


def test_tags_can_be_left_out(tree):
    found = by_id(load(tree, keep_tags=False))
    assert found["M001"]["text"] == "It says: note]: stay."
    assert found["F001"]["text"] == ""
    assert "" not in found["F003"]["history"]
    assert "[LAUGHTER]" not in found["F003"]["history"]


def test_rows_of_the_six_classes(tree):
    rows = load(tree, task="6class")
    assert rows.features["label"].names == ["angry", "excited", "frustrated", "happy", "neutral", "sad"]
    found = by_id(rows)
    name = rows.features["label"].int2str
    assert [name(found[one]["label"]) for one in ("M001", "F001", "F002")] == ["happy", "excited", "frustrated"]


def test_the_parent_folder_will_do(tree):
    assert load(tree.parent)["id"][:] == load(tree)["id"][:]


def test_a_wrong_folder_says_what_was_looked_for(tmp_path):
    (tmp_path / "downloads").mkdir()
    with pytest.raises(CorpusError, match=r"looked for .*Session1/dialog/EmoEvaluation.*it contains downloads"):
        load_iemocap(tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        load_iemocap(tmp_path / "nowhere")


def test_everything_missing_is_in_one_error(tree):
    session = tree / "Session1"
    (session / "sentences/wav/Ses01F_impro01/Ses01F_impro01_M001.wav").unlink()
    os.remove(tree / "Session3/dialog/EmoEvaluation/Ses03M_impro05a.txt")
    os.remove(tree / "Session3/dialog/transcriptions/Ses03M_impro08b.txt")
    os.rename(tree / "Session5/sentences/wav/Ses05M_script01_1b", tree / "Session5/sentences/wav/.hidden")
    ratings = session / "dialog/EmoEvaluation/Ses01F_impro01.txt"
    ratings.write_text(
        ratings.read_text()
        + "[30.0 - 31.0]\tSes01F_impro01_F009\tjoy\t[1, 1, 1]\n"
        + "[30.0 - 31.0]\tSes01F_impro01_F010\tsad\t[1, 1, 1]\n"
        + "[30.0 - 31.0]\tSes01F_impro01_F000\tsad\t[1, 1, 1]\n"
        + "[30.0 - 31.0]\tSes02F_impro01_F000\tsad\t[1, 1, 1]\n"
        + "[30.0 31.0] broken\n"
    )
    with pytest.raises(CorpusError) as caught:
        load(tree)
    problems = "\n".join(caught.value.problems)
    for expected in (
        "Ses01F_impro01_M001.wav: missing",
        "EmoEvaluation/Ses03M_impro05a.txt: missing",
        "transcriptions/Ses03M_impro08b.txt: missing",
        "sentences/wav/Ses05M_script01_1b: missing",
        "Ses01F_impro01.txt, line 33: label 'joy'",
        "Ses01F_impro01_F010 is rated, but has no transcript",
        "line 35: Ses01F_impro01_F000 is rated twice",
        "'Ses02F_impro01_F000' is not an utterance of Ses01F_impro01",
        "line 37: not `[start - end] id label",
    ):
        assert expected in problems
    assert len(caught.value.problems) == 9


def test_a_changed_tree_is_read_anew(tree):
    before = by_id(load(tree))["F000"]["text"]
    transcript = tree / "Session1/dialog/transcriptions/Ses01F_impro01.txt"
    transcript.write_text(transcript.read_text().replace("Excuse me.", "Pardon me."))
    assert (before, by_id(load(tree))["F000"]["text"]) == ("Excuse me.", "Pardon me.")


def test_an_unchanged_tree_is_not_read_again(tree, monkeypatch):
    load(tree)
    monkeypatch.setattr("hf_mer.data.corpora.iemocap.read_release", lambda *_: pytest.fail("read again"))
    assert len(load(tree)) == 7
    assert len(load(tree.parent)) == 7


@pytest.fixture
def sessions(tmp_path):
    """Five sessions with two speakers and all four classes each."""
    for number in range(1, 6):
        name = f"Ses0{number}F_impro01"
        ids = [f"{name}_{speaker}{index:03d}" for speaker in "FM" for index in range(4)]
        labels = ["ang", "hap", "neu", "sad"] * 2
        ratings = [(one, label, i, i + 1) for i, (one, label) in enumerate(zip(ids, labels, strict=True))]
        text = "".join(f"{one} [{i:08.4f}-{i + 1:08.4f}]: Line {i}.\n" for i, one in enumerate(ids))
        add_dialogue(tmp_path / "release", name, ratings, text)
    return tmp_path / "release"


def test_protocols(sessions):
    folds = load(sessions, protocol="leave_one_session_out")
    assert len(folds) == 5
    one = load(sessions, protocol="leave_one_session_out", fold="Ses05")
    assert set(one["test"]["session"]) == {"Ses05"}
    assert set(one["validation"]["session"]) == {"Ses01"}
    assert len(one["train"]) == 24
    by_speaker = load(sessions, protocol="leave_one_speaker_out", fold=1)
    assert set(by_speaker["test"]["speaker"]) == {"Ses01_M"}
    assert set(by_speaker["validation"]["speaker"]) == {"Ses01_F"}
    assert "validation" not in load(sessions, protocol="fixed_session", fold=0, validation="none")
    with pytest.raises(ValueError, match=r"fold 7 does not exist; give 0 to 4 or one of Ses01"):
        load(sessions, protocol="leave_one_session_out", fold=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "5class"}, "4class, 6class"),
        ({"check_counts": "maybe"}, "'auto', 'strict' or 'off'"),
        ({"fold": 0}, "need a `protocol`"),
        ({"protocol": "random"}, "leave_one_session_out, leave_one_speaker_out"),
    ],
)
def test_unknown_options(tree, options, message):
    with pytest.raises(ValueError, match=message):
        load(tree, **options)


def test_published_totals():
    assert [sum(LABEL_COUNTS[label][i] for label in LABEL_COUNTS) for i in range(5)] == [1819, 1811, 2136, 2103, 2170]
    four = published_counts(TASKS["4class"])
    by_session = [sum(n for (session, _), n in four.items() if session == f"Ses0{i}") for i in range(1, 6)]
    assert by_session == [1085, 1023, 1151, 1031, 1241]
    by_class = {name: sum(n for (_, one), n in four.items() if one == name) for name in set(TASKS["4class"].values())}
    assert by_class == {"angry": 1103, "happy": 1636, "sad": 1084, "neutral": 1708}
    assert sum(four.values()) == sum(PART_COUNTS_4CLASS.values()) == sum(SPEAKER_COUNTS_4CLASS.values()) == 5531
    six = published_counts(TASKS["6class"])
    assert sum(six.values()) == 7380
    assert [sum(n for (session, _), n in six.items() if session == f"Ses0{i}") for i in range(1, 6)] == [
        *(1365, 1348, 1533, 1512, 1622)
    ]


def published_rows():
    """Rows with exactly the published counts of the 4-class set by session, class and speaker (parts by total)."""
    names = sorted(set(TASKS["4class"].values()))
    women = {speaker[:5]: count for speaker, count in SPEAKER_COUNTS_4CLASS.items() if speaker.endswith("F")}
    records, improvised = [], PART_COUNTS_4CLASS["improvised"]
    for (session, name), count in published_counts(TASKS["4class"]).items():
        for _ in range(count):
            women[session] -= 1
            improvised -= 1
            records.append(
                make_record(
                    id=str(len(records)),
                    session=session,
                    label=names.index(name),
                    speaker=f"{session}_{'F' if women[session] >= 0 else 'M'}",
                    part="improvised" if improvised >= 0 else "scripted",
                )
            )
    return records, names


def test_counts_are_compared(tmp_path):
    records, names = published_rows()
    rows = records_to_dataset(records, names, tmp_path)
    assert compare_counts(rows, "4class") == []
    fewer = rows.select(range(1, len(rows)))
    differences = compare_counts(fewer, "4class")
    assert "Ses01 angry: 228 utterances, published 229" in differences
    assert "speaker Ses01_F: 527 utterances, published 528" in differences
    assert "part improvised: 2942 utterances, published 2943" in differences
    assert differences[-1] == "in all: 5530 utterances, published 5531"
    assert len(differences) == 4


def test_count_checks(tree, caplog):
    with pytest.raises(CorpusError, match=r"(?s)published counts of the 4class task.*Ses01 angry: 1 utterances"):
        load(tree, check_counts="strict")
    with caplog.at_level(logging.INFO, logger="hf_mer"):
        for _ in range(3):
            load(tree, check_counts="auto")
    assert sum("differs from the published counts" in record.message for record in caplog.records) == 1
    caplog.clear()
    (tree / "generated.json").write_text("{}")
    with caplog.at_level(logging.INFO, logger="hf_mer"):
        load(tree, check_counts="auto")
    assert not [record for record in caplog.records if "counts" in record.message]


class TestVideo:
    @pytest.fixture
    def filmed(self, tree):
        """The tree with the film of one dialogue, and what a Mac leaves beside it."""
        folder = tree / "Session1/dialog/avi/DivX"
        folder.mkdir(parents=True)
        (folder / "Ses01F_impro01.avi").write_bytes(b"RIFF")
        (folder / "._Ses01F_impro01.avi").write_bytes(b"")
        (tree / "Session3/dialog/avi/DivX").mkdir(parents=True)
        (tree / "Session3/dialog/avi/DivX/._Ses03M_impro05a.avi").write_bytes(b"")
        return tree

    def test_span_and_half_of_the_dialogues_film(self, filmed):
        found = by_id(load(filmed))
        video = found["F000"]["video"]
        assert video["path"] == str(filmed / "Session1/dialog/avi/DivX/Ses01F_impro01.avi")
        assert (video["start"], video["end"]) == (pytest.approx(6.2901), pytest.approx(8.2357))
        assert video["side"] == "left"
        assert found["M001"]["video"]["side"] == "right"
        assert found["Ses03M_impro05a_F000"]["video"] is None

    @pytest.mark.parametrize(("setting", "sides"), [("named_right", ("right", "left")), ("whole", (None, None))])
    def test_who_is_where_is_a_setting(self, filmed, setting, sides):
        for _ in range(2):  # the second time from the cache
            found = by_id(load(filmed, split_screen=setting))
            assert (found["F000"]["video"]["side"], found["M001"]["video"]["side"]) == sides
            assert by_id(load(filmed))["F000"]["video"]["side"] == "left"
        with pytest.raises(
            ValueError, match="split_screen is 'left'; it must be one of named_left, named_right, whole"
        ):
            load(filmed, split_screen="left")

    def test_in_a_dialogue_named_after_the_man(self, filmed):
        (filmed / "Session3/dialog/avi/DivX/Ses03M_impro05a.avi").write_bytes(b"RIFF")
        assert by_id(load(filmed))["Ses03M_impro05a_F000"]["video"]["side"] == "right"

    def test_a_film_that_arrives_later_is_found(self, tree):
        assert by_id(load(tree))["F000"]["video"] is None
        folder = tree / "Session1/dialog/avi/DivX"
        folder.mkdir(parents=True)
        (folder / "Ses01F_impro01.avi").write_bytes(b"RIFF")
        assert by_id(load(tree))["F000"]["video"] is not None

    def test_frames_of_an_utterance(self, tree, write_video):
        folder = tree / "Session1/dialog/avi/DivX"
        folder.mkdir(parents=True)
        film = write_video("film.avi", seconds=22, codec="mpeg4", sound=False, split=True)
        os.replace(film, folder / "Ses01F_impro01.avi")
        found = by_id(load(tree))
        left, right = (load_video(found[one]["video"], 2) for one in ("F003", "M001"))
        assert left.shape == right.shape == (2, 48, 32, 3)
        assert shown(left) == [(20 * 25 + 6) % 40, (20 * 25 + 18) % 40]
        assert shown(right) == [(12 * 25 + 12) % 40 - 3, (12 * 25 + 37) % 40 - 3]
