import hashlib
import json
import os
import re
import sys
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import psutil
import pytest
import soundfile

from hf_mer.data.corpora.iemocap import load_iemocap
from hf_mer.data.corpora.iemocap_words import word_times
from hf_mer.data.generated.generate import GeneratedCorpusConfig, generate_corpus, read_truth
from hf_mer.data.generated.plan import PlannedUtterance, draw_sentence
from hf_mer.data.generated.plan_iemocap import LABELS, corpus_ceilings, dialogue_names, is_four_class, plan_corpus
from hf_mer.data.generated.sentences import LANGUAGES, TAGS, write_sentence
from hf_mer.data.generated.voice import VoiceSettings, draw_speaker, synthesize
from hf_mer.data.mark import read_mark
from hf_mer.data.words import split_units

TINY = GeneratedCorpusConfig(
    num_utterances=60,
    sessions=3,
    utterances_per_dialogue=12,
    words_per_utterance=(6, 8),
    voice=VoiceSettings(word_seconds=(0.06, 0.1)),
)
FOUR = {"ang", "hap", "exc", "sad", "neu"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("generated") / "corpus"
    generate_corpus(root, TINY, progress=False)
    return root


@pytest.fixture(scope="module")
def truth(corpus):
    return read_truth(corpus)


def fingerprint(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def class_of(label):
    return "hap" if label == "exc" else label


def transcripts(root):
    """Utterance id to text, read by the plainest of rules."""
    texts = {}
    for path in root.glob("Session*/dialog/transcriptions/[!.]*.txt"):
        for line in path.read_text(encoding="utf-8").splitlines():
            match = re.match(r"(Ses\w+_[FM]\d{3})(?: \[[^\]]*\])?: (.*)", line)
            if match:
                texts[match[1]] = match[2]
    return texts


def test_same_seed_same_bytes_with_any_number_of_processes(corpus, tmp_path):
    generate_corpus(tmp_path / "again", TINY, num_proc=2, progress=False)
    assert fingerprint(tmp_path / "again") == fingerprint(corpus)


def test_another_seed_gives_another_corpus():
    plans = [plan_corpus(replace(TINY, seed=seed)) for seed in (0, 0, 1)]
    assert plans[0] == plans[1]
    assert plans[0] != plans[2]


def test_every_utterance_has_its_files(corpus, truth):
    assert sum(row["label"] in FOUR for row in truth) == TINY.num_utterances
    texts = transcripts(corpus)
    assert set(texts) == {row["id"] for row in truth}
    for row in truth:
        dialogue = row["id"].rsplit("_", 1)[0]
        session = corpus / f"Session{row['id'][4]}"
        info = soundfile.info(str(session / "sentences" / "wav" / dialogue / f"{row['id']}.wav"))
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert all(0 < start < end < info.duration for start, end in row["salient_spans"])
        evaluation = (session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt").read_text(encoding="utf-8")
        start, end = re.search(rf"\[([\d.]+) - ([\d.]+)\]\t{row['id']}\t{row['label']}\t\[", evaluation).groups()
        assert float(end) - float(start) == pytest.approx(info.duration, abs=2e-4)


def test_quirks_of_the_original_occur(tmp_path):
    config = replace(TINY, num_utterances=250, sessions=5, utterances_per_dialogue=10)
    root = tmp_path / "corpus"
    generate_corpus(root, replace(config, voice=VoiceSettings(word_seconds=(0.03, 0.04))), progress=False)
    lines = [
        line
        for path in root.glob("Session*/dialog/transcriptions/[!.]*.txt")
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    patterns = {
        "no label": r"Ses\w+_[FM]XX0 \[\d{3}\.\d{4}-\d{3}\.\d{4}\]: ",
        "no id": r"[FM]: \[BREATHING\]",
        "no time": r"Ses\w+_[FM]\d{3}: \S",
        "colon": r"Ses\w+ \[[^\]]*\]: .*:",
        "tag": r"Ses\w+ \[[^\]]*\]: \[LAUGHTER\] \w",
        "plain": r"Ses\w+_[FM]\d{3} \[\d{3}\.\d{4}-\d{3}\.\d{4}\]: [A-Z]",
    }
    for name, pattern in patterns.items():
        assert any(re.match(pattern, line) for line in lines), name
    hidden = list(root.rglob("._*"))
    assert {path.suffix for path in hidden} == {".txt", ".wav"}
    with pytest.raises(UnicodeDecodeError):
        hidden[0].read_text(encoding="utf-8")
    names = {path.name for path in root.glob("Session*/sentences/wav/*")}
    assert {"Ses03M_impro05a", "Ses03M_impro05b", "Ses05M_script01_1b"} <= names
    assert {row["label"] for row in read_truth(root)} > FOUR | {"xxx", "fru"}
    # The loader reads it all, and its labels are those of the truth.
    rows = load_iemocap(root, cache_dir=tmp_path / "cache", keep_tags=True, max_history=500)
    labels = {row["id"]: class_of(row["label"]) for row in read_truth(root) if row["label"] in FOUR}
    assert len(rows) == len(labels) == 250
    short = {"angry": "ang", "happy": "hap", "neutral": "neu", "sad": "sad"}
    names = rows.features["label"].names
    assert {row["id"]: short[names[row["label"]]] for row in rows} == labels
    texts = transcripts(root)
    sources = {row["id"]: texts[row["source"]] for row in read_truth(root) if row["history_only"]}
    for row in rows:
        assert row["text"] == texts[row["id"]]
        assert row["id"] not in sources or sources[row["id"]] in row["history"]


def test_salient_words_are_the_only_ones_that_carry_valence(corpus, truth):
    texts = transcripts(corpus)
    carriers = {
        word: cue for cue in (1, -1) for words in LANGUAGES["en"].valence_words[cue].values() for word in words
    }
    for row in truth:
        words = [re.sub(r"\W", "", word).lower() for word in texts[row["id"]].split()]
        found = {position: carriers[word] for position, word in enumerate(words) if word in carriers}
        assert sorted(found) == row["salient_words"]
        assert set(found.values()) == (set() if row["history_only"] else {row["valence_cue"]})


def test_history_tells_what_neutral_words_do_not():
    config = GeneratedCorpusConfig(num_utterances=1000)
    distances, history_only = [], 0
    for dialogue in plan_corpus(config):
        latest = None
        for turn, utterance in enumerate(dialogue.utterances):
            if utterance.own_words:
                latest = turn
            else:
                assert utterance.valence == dialogue.utterances[latest].valence
                assert utterance.source == dialogue.utterances[latest].id
                distances.append(turn - latest)
                history_only += is_four_class(utterance)
    assert history_only == config.num_history_only == 200
    assert np.mean(np.array(distances) == 1) > 0.85


def test_text_and_duration_do_not_tell_arousal_nor_voice_valence():
    """Twins that differ in one cue share everything the other modality sees."""
    config = GeneratedCorpusConfig()

    def say(label, valence, arousal, seed):
        speaker = draw_speaker(np.random.default_rng(seed), female=True)
        utterance = PlannedUtterance("", "F", label, valence, arousal)
        num_words, sentence = draw_sentence(config, utterance, np.random.default_rng(seed))
        return sentence, synthesize(num_words, speaker, arousal, np.random.default_rng(seed))

    for seed in range(4):
        by_label = {label: say(label, *cues, seed) for cues, label in LABELS.items()}
        for negative, positive in (("ang", "hap"), ("sad", "neu")):
            assert np.array_equal(by_label[negative][1].waveform, by_label[positive][1].waveform)
        for low, high in (("sad", "ang"), ("neu", "hap")):
            assert by_label[low][0] == by_label[high][0]
            assert by_label[low][1].duration == by_label[high][1].duration
        assert by_label["sad"][0].salient == by_label["neu"][0].salient
        assert not np.array_equal(by_label["sad"][1].waveform, by_label["ang"][1].waveform)


@pytest.mark.parametrize("language", ["de", "pl", "zh"])
def test_another_language_changes_the_words_alone(corpus, truth, tmp_path, language):
    root = tmp_path / "corpus"
    generate_corpus(root, replace(TINY, language=language), progress=False)
    english, other = (  # word times are of words; those of Chinese are not written apart
        {name: value for name, value in fingerprint(one).items() if "ForcedAlignment" not in name}
        for one in (corpus, root)
    )
    changed = {name for name in english if english[name] != other.get(name)}
    assert other.keys() == english.keys()
    assert all("transcriptions" in name or name.startswith("generated") for name in changed)
    texts = transcripts(root)
    carriers = {
        word: cue for cue in (1, -1) for words in LANGUAGES[language].valence_words[cue].values() for word in words
    }
    for row, twin in zip(read_truth(root), truth, strict=True):
        same = row.keys() - {"salient_words"}
        assert {name: row[name] for name in same} == {name: twin[name] for name in same}
        units = [re.sub(r"\W", "", unit) for unit in split_units(texts[row["id"]])]
        size = 2 if language == "zh" else 1  # positions of a salient word
        places = np.reshape(row["salient_words"], (-1, size)).tolist()
        found = ["".join(units[place] for place in word).lower() for word in places]
        folded = {word.lower(): cue for word, cue in carriers.items()}
        assert {folded[word] for word in found} == (set() if row["history_only"] else {row["valence_cue"]})
        pairs = ["".join(pair).lower() for pair in zip(*(units[start:] for start in range(size)), strict=False)]
        assert len(found) == sum(pair in folded for pair in pairs)
    assert set("".join(texts.values())) & set({"de": "äöüß", "pl": "ąęłśż", "zh": "很这。"}[language])
    rows = load_iemocap(root, cache_dir=tmp_path / "cache", max_history=500)
    assert len(rows) == TINY.num_utterances
    for row in rows:
        assert row["text"] == texts[row["id"]]
        assert row["history"] or row["id"].endswith("000")


def test_languages_are_as_rich_as_each_other():
    for code, language in LANGUAGES.items():
        english = LANGUAGES["en"]
        for valence, kinds in english.valence_words.items():
            sizes = {kind: len(words) for kind, words in language.valence_words[valence].items()}
            assert sizes == {kind: len(words) for kind, words in kinds.items()}, code
        words = [word for kinds in language.valence_words.values() for words in kinds.values() for word in words]
        assert len(set(words)) == len(words), code
        slots = {kind for kinds in language.valence_words.values() for kind in kinds} | set(language.slots)
        clauses = [*language.salient_clauses, *language.neutral_clauses]
        assert {word[1:-1] for clause in clauses for word in clause if word.startswith("{")} == slots, code
        others = {word for clause in clauses for word in clause} | set(language.fillers)
        others |= {word for choices in language.slots.values() for word in choices}
        assert not others & set(words), code
        assert min(len(clause) for clause in language.salient_clauses) == 3, code
    with pytest.raises(ValueError, match="language='tlh' is not one of en, de, pl, zh"):
        GeneratedCorpusConfig(language="tlh")


def test_english_is_written_as_before_there_were_other_languages(corpus):
    """Corpora on people's disks go on being taken for what they are; raise the version where this must change."""
    texts = "\n".join(f"{name} {text}" for name, text in sorted(transcripts(corpus).items()))
    assert hashlib.sha256(texts.encode()).hexdigest()[:16] == "18c51425eac77a96"
    assert "language" not in json.loads((corpus / "generated.json").read_text())["settings"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_of_every_language_have_the_number_of_words_asked_for(language):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        num_words, num_salient = int(rng.integers(6, 13)), int(rng.integers(1, 3))
        sentence = write_sentence(num_words, num_salient, -1, rng, language=language, tag_share=0.2)
        units = [unit for unit in split_units(sentence.text) if unit not in TAGS]
        characters = 2 if language == "zh" else 1
        assert len(sentence.salient) == characters * num_salient
        assert len(units) >= num_words
        assert len(units) == num_words or language == "zh"
        assert "{" not in sentence.text
        assert sentence.text[-1] == LANGUAGES[language].marks[1]


def test_the_alignment_says_when_each_word_is_said(corpus):
    rows = load_iemocap(corpus, "4class")
    found = [(row, word_times(row["audio"], row["text"].split())) for row in rows]
    spoken = [(row, times) for row, times in found if not row["text"].startswith("[")]
    assert len(spoken) > 20
    for row, times in spoken:
        duration = soundfile.info(row["audio"]["path"]).duration
        assert (np.diff(times.ravel()) >= 0).all()
        assert 0 < times[0, 0] < times[-1, 1] < duration


def test_sentences_have_the_length_asked_for():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        num_words, num_salient = int(rng.integers(6, 13)), int(rng.integers(1, 3))
        sentence = write_sentence(num_words, num_salient, 1, rng)
        words = sentence.text.split()
        assert len([word for word in words if word not in TAGS]) == num_words
        assert len(sentence.salient) == num_salient
        assert "{" not in sentence.text
        assert " a a" not in sentence.text


def test_ceilings_are_those_of_the_sums_by_hand():
    ceilings = corpus_ceilings(GeneratedCorpusConfig())
    assert ceilings.as_dict() == pytest.approx(
        {
            "chance": 0.25,
            "text": 0.45,
            "text_without_history": 0.8 * 0.45 + 0.2 * 0.25,
            "voice": 0.45,
            "both": 0.81,
            "both_without_history": 0.8 * 0.81 + 0.2 * 0.45,
        }
    )
    half = corpus_ceilings(GeneratedCorpusConfig(ambiguous_share=0.5, history_share=0.0)).wa
    assert half["both"] == pytest.approx(0.5 * 0.81 + 0.5 * 0.25)
    assert half["text"] == pytest.approx(0.5 * 0.45 + 0.5 * 0.25) == half["text_without_history"]
    assert "0.738" in ceilings.table()
    assert "both without history" in ceilings.table()


@pytest.mark.parametrize("ambiguous_share", [0.0, 0.3])
def test_an_oracle_reaches_the_ceilings(ambiguous_share):
    config = GeneratedCorpusConfig(num_utterances=8000, ambiguous_share=ambiguous_share, seed=1)
    rng = np.random.default_rng(0)
    hits = Counter()
    counts = Counter()
    for dialogue in plan_corpus(config):
        for utterance in (one for one in dialogue.utterances if is_four_class(one)):
            guess = tuple(int(side) for side in rng.choice((-1, 1), 2))
            own = utterance.valence if utterance.own_words else guess[0]
            guesses = {
                "chance": guess,
                "text": (utterance.valence, guess[1]),
                "text_without_history": (own, guess[1]),
                "voice": (guess[0], utterance.arousal),
                "both": (utterance.valence, utterance.arousal),
                "both_without_history": (own, utterance.arousal),
            }
            label = class_of(utterance.label)
            counts[label] += 1
            hits.update(name for name, cues in guesses.items() if LABELS[cues] == label)
    for name, ceiling in corpus_ceilings(config).wa.items():
        assert hits[name] / config.num_utterances == pytest.approx(ceiling, abs=0.02), name
    assert max(counts.values()) / min(counts.values()) < 1.1  # balanced classes: the same for UA


def test_folder_is_reused_or_refused(corpus, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in corpus.rglob("*")}
    ceilings = generate_corpus(corpus, TINY, progress=False)
    assert ceilings.as_dict() == read_mark(corpus)["ceilings"]
    assert {path: path.stat().st_mtime_ns for path in corpus.rglob("*")} == before
    with pytest.raises(FileExistsError, match=r"seed 0 \(asked for 7\)"):
        generate_corpus(corpus, replace(TINY, seed=7), progress=False)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="something other"):
        generate_corpus(tmp_path / "other", TINY, progress=False)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "precious"
    mark = json.loads((corpus / "generated.json").read_text())
    assert mark["settings"]["num_utterances"] == 60
    assert mark["ceilings"]["both"] == pytest.approx(0.81)


def test_nothing_stays_behind_when_writing_fails(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr("hf_mer.data.generated.write_iemocap.soundfile.write", fail)
    with pytest.raises(OSError, match="disk full"):
        generate_corpus(tmp_path / "corpus", TINY, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_nothing_to_the_next_call(tmp_path):
    """Neither processes, nor the folder in which they wrote."""
    code = (
        "import sys; from hf_mer.data.generated.generate import *\n"
        "generate_corpus(sys.argv[1], GeneratedCorpusConfig(num_utterances=1500), num_proc=2, progress=False)"
    )
    process = psutil.Popen([sys.executable, "-c", code, str(tmp_path / "corpus")])
    while len(workers := process.children()) < 2:
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert len(os.listdir(tmp_path)) == 1
    generate_corpus(tmp_path / "corpus", TINY, progress=False)
    assert os.listdir(tmp_path) == ["corpus"]


def test_settings_that_cannot_be_met_are_named_together():
    with pytest.raises(ValueError, match=r"(?s)cue_reliability=0\.4.*words_per_utterance=\(2, 12\)"):
        GeneratedCorpusConfig(cue_reliability=0.4, words_per_utterance=(2, 12))
    with pytest.raises(ValueError, match=r"history_share=0\.8 asks for"):
        plan_corpus(GeneratedCorpusConfig(history_share=0.8, utterances_per_dialogue=2, num_utterances=100))


def test_dialogue_names_are_unique_and_irregular_where_the_original_is():
    for session in range(1, 6):
        names = dialogue_names(session)
        assert len(set(names)) == len(names) >= 28
        assert all(re.fullmatch(rf"Ses0{session}[FM]_(impro\d\d[ab]?|script\d\d_\d[ab]?)", name) for name in names)
