"""Transcripts with a set word error rate: the rate is reached, errors agree between rows and histories."""

from types import SimpleNamespace

import numpy as np
import pytest

from hf_mer.data.generated.sentences import LANGUAGES, write_sentence
from hf_mer.data.protocols.folds import Fold
from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.data.word_errors import corrupt_transcripts, with_transcript_errors, word_error_rate
from hf_mer.data.words import spoken_words
from hf_mer.training.settings.deciding import data_hash

SIZE, TURNS = 240, 12


def make_rows(folder, language="en"):
    """Dialogues of twelve turns; the first row has no text, the second nothing but a tag."""
    texts = [
        write_sentence(9, 1, 1, np.random.default_rng(turn), language=language, tag_share=0.2).text
        for turn in range(SIZE)
    ]
    texts[:2] = [None, "[LAUGHTER]"]
    records = []
    for row, text in enumerate(texts):
        history = [turn for turn in texts[row - row % TURNS : row] if turn]
        records.append(
            make_record(id=f"u{row}", text=text, history=history, dialogue=f"d{row // TURNS}", label=row % 2)
        )
    return records_to_dataset(records, ["angry", "sad"], folder)


@pytest.fixture
def rows(tmp_path):
    return make_rows(tmp_path)


def one_row(tmp_path, *texts):
    return records_to_dataset([make_record(id=str(n), text=t, label=0) for n, t in enumerate(texts)], ["a"], tmp_path)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [
        ("I don't know.", "i DON\u2019T know", 0),
        ("[LAUGHTER] so it is", "so it is", 0),
        ("a b c d", "a c d", 1),
        ("a b c d", "a x c d", 1),
        ("a b c d", "a b x c d", 1),
        ("a b c d", "b c d e", 2),  # not four substitutions
        ("a b c d", "", 4),
        ("\u6211\u5f88\u9ad8\u5174\u3002", "\u6211\u4e0d\u9ad8\u5174", 1),
    ],
)
def test_word_error_rate_by_hand(reference, hypothesis, errors):
    assert word_error_rate([reference], [hypothesis]) == errors / len(spoken_words(reference))
    padded = word_error_rate([reference, "one two", None], [hypothesis, "one two", None])
    assert padded == pytest.approx(errors / (len(spoken_words(reference)) + 2))


def test_word_error_rate_needs_pairs_and_words():
    with pytest.raises(ValueError, match="1 references, but 2 hypotheses"):
        word_error_rate(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="no words"):
        word_error_rate(["[LAUGHTER]"], ["a"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_the_rate_is_the_one_asked_for(tmp_path, rate, language):
    rows = make_rows(tmp_path, language)
    wrong = corrupt_transcripts(rows, rate)
    assert word_error_rate(rows["text"], wrong["text"]) == pytest.approx(rate, abs=0.002)
    assert word_error_rate(rows["history"][11], wrong["history"][11]) == pytest.approx(rate, abs=0.15)


def test_everything_else_stays(rows):
    wrong = corrupt_transcripts(rows, 0.5)
    assert wrong.features == rows.features
    assert wrong.column_names == rows.column_names
    for name in set(rows.column_names) - {"text", "history"}:
        assert wrong[name] == rows[name]
    assert wrong["text"][:2] == [None, "[LAUGHTER]"]
    for old, new in zip(rows["text"][2:], wrong["text"][2:], strict=True):
        assert spoken_words(new)
        assert new == new.strip()
        assert "  " not in new
        assert ("[" in old) == ("[" in new)
    assert {len(text.split()) for text in rows["text"][2:]} >= {9, 10}


def test_a_text_has_the_same_errors_in_the_histories_of_later_rows(rows):
    texts, histories = (corrupt_transcripts(rows, 0.4)[name] for name in ("text", "history"))
    for row in range(SIZE):
        assert histories[row] == [text for text in texts[row - row % TURNS : row] if text]


def test_errors_come_from_the_seed_and_the_dialogue(rows, tmp_path):
    first, again, other = (corrupt_transcripts(rows, 0.4, seed=seed)["text"] for seed in (0, 0, 1))
    assert first == again
    assert first != other
    text = "so it was at the office on Monday then"
    records = [make_record(id=f"u{n}", text=text, dialogue=f"d{n // 2}", label=0) for n in range(40)]
    heard = corrupt_transcripts(records_to_dataset(records, ["a"], tmp_path), 0.4)["text"]
    assert heard[::2] == heard[1::2]
    assert len(set(heard)) > 10


def test_a_higher_rate_adds_errors(rows):
    texts = rows["text"]
    few, many = (corrupt_transcripts(rows, rate)["text"] for rate in (0.1, 0.4))
    changed = [{n for n in range(SIZE) if texts[n] != heard[n]} for heard in (few, many)]
    assert changed[0] < changed[1]


@pytest.mark.parametrize(
    ("shares", "longer"), [((1, 0, 0), -1), ((0, 1, 0), 0), ((0, 0, 1), 1), ((3, 0, 1), -0.5), ((20, 60, 20), 0)]
)
def test_shares_of_the_kinds_of_errors(rows, shares, longer):
    wrong = corrupt_transcripts(rows, 0.3, shares)
    old, new = (sum(len(spoken_words(text or "")) for text in one["text"]) for one in (rows, wrong))
    assert (new - old) / (0.3 * old) == pytest.approx(longer, abs=0.12)
    if shares == (1, 0, 0):
        for text, heard in zip(rows["text"][2:], wrong["text"][2:], strict=True):
            left = iter(spoken_words(text))
            assert all(word in left for word in spoken_words(heard))  # in order


def test_wrong_words_are_the_corpus_own_by_frequency(tmp_path):
    texts = ["so so so so so so so so so rare"] * 3 + [" ".join(["different"] * 30)] * 20
    records = [make_record(id=str(n), text=text, dialogue=str(n), label=0) for n, text in enumerate(texts)]
    wrong = corrupt_transcripts(records_to_dataset(records, ["a"], tmp_path), 0.5, (0, 1, 0))["text"]
    replaced = [word for text in wrong[3:] for word in spoken_words(text) if word != "different"]
    assert set(replaced) == {"so", "rare"}
    assert replaced.count("so") / len(replaced) == pytest.approx(0.9, abs=0.07)


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("Well, I know him.", [[], ["I"], ["know"], ["him"]], "I know him."),
        ("Well, I know him.", [["Well"], ["I"], [], []], "Well, I."),
        ("I know. He is.", [["I"], [], ["He"], ["is"]], "I. He is."),
        ("I know him.", [["I", "do"], ["no"], ["him"]], "I do no him."),
        ("[LAUGHTER] Well, I", [[], ["I"]], "[LAUGHTER] I"),
        ("I know [LAUGHTER] him.", [["I"], ["know"], []], "I know [LAUGHTER]."),
        ("So [SIGH] it [BREATHING] is", [["So"], [], ["is"]], "So [SIGH] [BREATHING] is"),
        ("\u6211\u5f88\u597d\u3002", [["\u6211"], [], ["\u597d", "OK"]], "\u6211\u597dOK\u3002"),
        ("\u6211OK", [["so"], ["OK"]], "so OK"),
    ],
)
def test_marks_and_tags_stay_where_words_go(text, words, expected):
    from hf_mer.data.word_errors import _rebuild
    from hf_mer.data.words import word_spans

    assert _rebuild(text, word_spans(text), words) == expected


def arguments(rate=0.4, parts="test"):
    return SimpleNamespace(word_error_rate=rate, word_error_parts=parts, word_error_shares=None)


def test_the_test_part_alone_or_all_rows(rows):
    folds = [Fold("a", list(range(0, 160)), [], list(range(160, SIZE))), Fold("b", list(range(80, SIZE)), [], [5, 7])]
    first, second = (with_transcript_errors(rows, fold, arguments(), 3) for fold in folds)
    everywhere = with_transcript_errors(rows, folds[0], arguments(parts="all"), 3)
    for name in ("text", "history"):
        assert first[name][:160] == rows[name][:160]
        assert first[name][160:] == everywhere[name][160:]
        assert [n for n in range(SIZE) if second[name][n] != rows[name][n]] in ([5, 7], [5], [7])
    assert word_error_rate(rows["text"], everywhere["text"]) == pytest.approx(0.4, abs=0.002)
    assert with_transcript_errors(rows, folds[0], arguments(rate=None), 3) is rows
    hashes = {data_hash(one) for one in (rows, first, second, everywhere)}
    assert len(hashes) == 4


def test_rates_that_cannot_be(rows, tmp_path):
    with pytest.raises(ValueError, match=r"word_error_rate=1\.2 must be between 0 and 1"):
        corrupt_transcripts(rows, 1.2)
    with pytest.raises(ValueError, match="must be three numbers"):
        corrupt_transcripts(rows, 0.2, (1, 2))
    with pytest.raises(ValueError, match="have 1 different words"):
        corrupt_transcripts(one_row(tmp_path, "no, no"), 0.2)
    with pytest.raises(ValueError, match=r"word_error_rate=1\.0 cannot be reached .*: 0\.875 at most"):
        corrupt_transcripts(one_row(tmp_path, "yes", "yes yes yes no no", "no one"), 1.0, (1, 0, 0))
    assert corrupt_transcripts(rows, 0.0) is rows
