"""Public corpora out of tiny trees in the layouts of their releases, with everything that unzipping leaves behind."""

import logging
import shutil

import pytest
import soundfile

from hf_mer.data.corpora.public.description import describe
from hf_mer.data.corpora.public.loading import compare_counts, load_public, speaker_groups
from hf_mer.data.corpora.public.reading import read_recordings, recognise
from hf_mer.data.schema import CorpusError

RAVDESS = "Audio_Speech_Actors_01-24/Actor_{speaker:02d}/03-01-{emotion:02d}-01-{sentence:02d}-01-{speaker:02d}.wav"
TABLE = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"


@pytest.fixture
def tree(tmp_path):
    """`tree("wav/03a01Fa.wav", ...)`: a folder with these files, each a short recording."""
    root = tmp_path / "release"

    def make(*names):
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, [0.1] * 160, 16000, format="WAV")
        return root

    return make


@pytest.fixture
def load(tmp_path):
    def read(corpus, root, **options):
        return load_public(corpus, root, **{"check_counts": "off", "cache_dir": tmp_path / "cache", **options})

    return read


def first(rows):
    names = ("id", "text", "speaker", "gender", "group")
    return {**{name: rows[0][name] for name in names}, "label": rows.features["label"].int2str(rows[0]["label"])}


class TestReleases:
    def test_ravdess(self, tree, load):
        names = [
            RAVDESS.format(speaker=speaker, emotion=emotion, sentence=1 + speaker % 2)
            for speaker in range(1, 25)
            for emotion in range(1, 9)
        ]
        rows = load("ravdess", tree(*names))
        assert len(rows) == 192
        assert first(rows) == {
            "id": "03-01-01-01-01-01-02",
            "text": "Kids are talking by the door",
            "speaker": "02",
            "gender": "female",
            "group": "group1",
            "label": "neutral",
        }
        assert rows.features["label"].names == [
            *("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")
        ]
        folds = load("ravdess", tree(), protocol="groups")
        assert [sorted(set(fold["test"]["speaker"])) for fold in folds][:2] == [
            ["01", "02", "03", "04"],
            ["05", "06", "07", "08"],
        ]
        assert len(folds) == 6
        for fold in folds:
            speakers = [speaker for part in fold.values() for speaker in set(part["speaker"])]
            assert len(fold) == 3
            assert len(speakers) == len(set(speakers)) == 24

    def test_crema_d(self, tree, load, caplog):
        bad = "AudioWAV/1076_MTI_SAD_XX.wav"
        mp3 = "AudioMP3/1001_DFA_ANG_XX.mp3"
        rows = load("crema_d", tree("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1040_ITH_SAD_X.wav", bad, mp3))
        assert first(rows) == {
            "id": "1001_DFA_ANG_XX",
            "text": "Don't forget a jacket",
            "speaker": "1001",
            "gender": "male",
            "group": "group1",
            "label": "anger",
        }
        assert rows["id"][:] == ["1001_DFA_ANG_XX", "1040_ITH_SAD_X"]
        assert "cannot be used: 1076_MTI_SAD_XX (no sound)" in caplog.text
        assert "files left out: 1 of the copies that raters heard and saw" in caplog.text

    def test_emodb(self, tree, load):
        rows = load("emodb", tree("wav/16b10Td.wav", "wav/08a05La.wav"))
        assert first(rows) == {
            "id": "08a05La",
            "text": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
            "speaker": "08",
            "gender": "female",
            "group": "speaker08",
            "label": "boredom",
        }
        assert rows[1]["text"] == "Die wird auf dem Platz sein, wo wir sie immer hinlegen."

    def test_nemo(self, tree, load):
        root = tree("nEMO-main/samples/WR0_surprised_64.wav", "nEMO-main/samples/EB0_anger_1.wav")
        (root / "nEMO-main" / "data.tsv").write_text(
            TABLE + "WR0_surprised_64.wav\tsurprised\tUcho wykrywa dźwięki.\tucho\t        WR0\tmale\t23\n"
            "EB0_anger_1.wav\tanger\t„Ród smoka” to serial.\tród\t        EB0\tfemale\t27\n",
            encoding="utf-8",
        )
        rows = load("nemo", root)
        assert first(rows) == {
            "id": "EB0_anger_1",
            "text": "„Ród smoka” to serial.",
            "speaker": "EB0",
            "gender": "female",
            "group": "speakerEB0",
            "label": "anger",
        }
        assert (rows[1]["text"], rows[1]["gender"]) == ("Ucho wykrywa dźwięki.", "male")

    def test_what_nemos_table_lacks(self, tree, load):
        root = tree("samples/EB0_anger_1.wav")
        with pytest.raises(CorpusError, match=r"no table data\.tsv, which contains the sentences"):
            load("nemo", root)
        (root / "data.tsv").write_text("file_id\temotion\n")
        with pytest.raises(CorpusError, match=r"data\.tsv.*no rows|EB0_anger_1\.wav: not in data\.tsv"):
            load("nemo", root)
        (root / "data.tsv").write_text("file_id\temotion\nEB0_anger_1.wav\tanger\n")
        with pytest.raises(CorpusError, match="no column raw_text, gender; the columns are file_id, emotion"):
            load("nemo", root)
        rows = [f"{folder}/EB0_anger_1.wav\tanger\t{folder}\ta\tEB0\tfemale\t27\n" for folder in ("tak", "nie")]
        (root / "data.tsv").write_text(TABLE + "".join(rows))
        with pytest.raises(CorpusError, match="'eb0_anger_1' has two rows, and rows are matched by file name"):
            load("nemo", root)


class TestFoldersAsTheyAre:
    def test_leftovers_of_macs_and_endings_in_upper_case(self, tree, load, caplog):
        names = ["Wav/03A01FA.WAV", "__MACOSX/wav/._08a01Fa.wav", "__MACOSX/wav/09a01Fa.wav", "wav/._03a02Fa.wav"]
        root = tree(*names)
        (root / ".DS_Store").write_bytes(b"\0")
        rows = load("emodb", root)
        assert rows["id"][:] == ["03A01FA"]
        assert first(rows)["text"] == "Der Lappen liegt auf dem Eisschrank."
        assert not caplog.records

    def test_an_archive_that_holds_everything_twice(self, tree, load, caplog):
        name = RAVDESS.format(speaker=3, emotion=5, sentence=2).partition("/")[2]
        root = tree(f"archive/audio_speech_actors_01-24/{name}", f"archive/{name}")
        rows = load("ravdess", root)
        assert len(rows) == 1
        assert rows[0]["audio"]["path"] == str(root / "archive" / name)
        assert "1 recordings occur twice and are read once" in caplog.text

    def test_links_are_followed_once(self, tree, load, tmp_path):
        root = tree("wav/03a01Fa.wav")
        (tmp_path / "elsewhere").symlink_to(root / "wav")
        (tmp_path / "linked").mkdir()
        (tmp_path / "linked" / "wav").symlink_to(tmp_path / "elsewhere")
        (root / "wav" / "circle").symlink_to(root)
        assert load("emodb", tmp_path / "linked")["id"][:] == ["03a01Fa"]
        assert load("emodb", root)["id"][:] == ["03a01Fa"]

    def test_song_and_films_are_left_out_and_told(self, tree, load, caplog):
        good = RAVDESS.format(speaker=1, emotion=1, sentence=1)
        song, film = "Audio_Song/Actor_01/03-02-01-01-01-01-01.wav", "Video/Actor_01/01-01-01-01-01-01-01.mp4"
        assert len(load("ravdess", tree(good, song, film, "extra/hello.wav"))) == 1
        assert "1 of song; 1 of films, with or without sound" in caplog.text
        assert "1 with names that no recording of the corpus has, such as extra/hello.wav" in caplog.text

    def test_pointers_of_git_lfs(self, tree, load):
        root = tree("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1001_DFA_HAP_XX.wav")
        (root / "AudioWAV/1001_DFA_HAP_XX.wav").write_text("version https://git-lfs.github.com/spec/v1\nsize 72862\n")
        with pytest.raises(CorpusError, match=r"1 of 2 recordings, .*1001_DFA_HAP_XX\.wav, are pointers of Git LFS"):
            load("crema_d", root)


class TestBadFolders:
    def test_missing(self, load, tmp_path):
        with pytest.raises(
            CorpusError, match=r"no such folder\. EmoDB is available at http://emodb.* \(download\.zip\)"
        ):
            load("emodb", tmp_path / "nowhere")
        (tmp_path / "file.zip").write_bytes(b"")
        with pytest.raises(CorpusError, match="is a file, not the folder of an unzipped release"):
            load("emodb", tmp_path / "file.zip")

    def test_of_another_corpus(self, tree, load):
        root = tree(RAVDESS.format(speaker=1, emotion=1, sentence=1))
        with pytest.raises(
            CorpusError, match=r"no recording of EmoDB, such as .*; this is RAVDESS.*: --corpus ravdess"
        ):
            load("emodb", root)

    def test_of_no_corpus(self, tree, load):
        root = tree("glad/one.wav")
        (root / "download.zip").write_bytes(b"")
        with pytest.raises(
            CorpusError, match=r"it contains 1 other files, such as glad/one\.wav; unzip download\.zip"
        ):
            load("emodb", root)

    def test_codes_that_are_not_known_are_told_together(self, tree, load):
        root = tree(*(RAVDESS.format(speaker=s, emotion=e, sentence=t) for s, e, t in ((1, 9, 1), (25, 1, 3))))
        with pytest.raises(CorpusError) as raised:
            load("ravdess", root)
        assert len(raised.value.problems) == 3
        assert "Actor_01/03-01-09-01-01-01-01.wav: emotion '09' is not one of 01, 02" in str(raised.value)
        assert "sentence '03' is not one of 01, 02" in str(raised.value)
        assert "speaker '25' is not one of 01, 03" in str(raised.value)


class TestCounts:
    def test_differences_are_told(self, tree, load, caplog):
        root = tree("wav/03a01Fa.wav")
        load("emodb", root, check_counts="auto")
        assert "differs from the published counts of EmoDB" in caplog.text
        assert "Is the release complete? It is read as it is" in caplog.text  # and no advice on what was not refused
        for told in (
            "happiness: 1 recordings, published 71",
            "1 speakers, published 10",
            "in all: 1 recordings, published 535",
        ):
            assert told in caplog.text
        with pytest.raises(CorpusError, match="anger: 0 recordings, published 127"):
            load("emodb", root, check_counts="strict")

    def test_of_a_whole_release_there_are_none(self, tree):
        """Neutral has half of the others, since it has no strong form."""
        names = [
            f"Actor_{speaker:02d}/03-01-{emotion:02d}-{strength:02d}-{sentence:02d}-{take:02d}-{speaker:02d}.wav"
            for speaker in range(1, 25)
            for emotion in range(1, 9)
            for strength in (1, 2)[: 1 + (emotion > 1)]
            for sentence in (1, 2)
            for take in (1, 2)
        ]
        root = tree(names[0])
        for name in names[1:]:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).touch()
        corpus = describe("ravdess")
        assert compare_counts(corpus, read_recordings(corpus, root)) == []

    @pytest.mark.parametrize(("name", "total"), [("crema_d", 7442), ("emodb", 535), ("nemo", 4481), ("ravdess", 1440)])
    def test_published_totals(self, name, total):
        assert sum(describe(name).counts.values()) == total


def test_folds_do_not_move_where_a_speaker_is_missing():
    corpus = describe("ravdess")
    assert speaker_groups(corpus, ["01", "05"])["05"] == "group2"
    crema = speaker_groups(describe("crema_d"), [])
    assert [crema["1001"], crema["1019"], crema["1020"], crema["1091"]] == ["group1", "group1", "group2", "group5"]


@pytest.mark.parametrize(
    ("names", "corpus"),
    [
        ([RAVDESS.format(speaker=1, emotion=1, sentence=1)], "ravdess"),
        (["AudioWAV/1001_DFA_ANG_XX.wav", "AudioMP3/1001_DFA_ANG_XX.mp3"], "crema_d"),
        (["wav/03a01Fa.wav"], "emodb"),
        (["samples/EB0_anger_1.wav"], "nemo"),
        (["glad/one.wav", "glad/03a01Fa.wav"], None),
        ([], None),
    ],
)
def test_a_folder_is_recognised(tree, names, corpus):
    root = tree(*names)
    root.mkdir(exist_ok=True)
    assert recognise(root) == corpus


def test_a_corpus_of_ones_own(tree, load, tmp_path):
    """With folders in the pattern, so that the same file name may stand for several recordings."""
    own = tmp_path / "mine.yaml"
    own.write_text(
        "title: Calls\nfiles: '(?P<speaker>\\w+)/(?P<emotion>[a-z]+)/\\d+\\.wav'\n"
        "labels: {happy: glad, angry: cross}\ngroups: 2\n"
    )
    root = tree("anna/happy/1.wav", "anna/angry/1.wav", "bert/happy/1.wav", "carl/happy/1.wav")
    rows = load(str(own), root)
    assert rows["id"][:] == ["anna/angry/1", "anna/happy/1", "bert/happy/1", "carl/happy/1"]
    assert rows["group"][:] == ["group1", "group1", "group1", "group2"]
    assert rows.features["label"].names == ["cross", "glad"]
    assert rows[0]["text"] is None
    shutil.rmtree(root / "carl")
    assert load(str(own), root)["group"][:] == ["speakeranna", "speakeranna", "speakerbert"]


def test_the_log_is_quiet_for_a_clean_folder(tree, load, caplog):
    caplog.set_level(logging.INFO)
    load("emodb", tree("wav/03a01Fa.wav"))
    assert not [record for record in caplog.records if record.name.startswith("hf_mer")]
