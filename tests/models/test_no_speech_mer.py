import numpy as np
import pytest
import torch
from model_tester import tone
from test_speech_recognition_mer import whisper

from hf_mer.models import no_speech_mer
from hf_mer.models.no_speech_mer import Evidence, can_tell, evidence_of
from hf_mer.models.speech_recognition_mer import Recognised, _believed, _Stretch, gives_word_times, recognise_words
from hf_mer.models.timed_words_mer import TimedWord


@pytest.fixture(scope="module", params=[False, True], ids=["english", "multilingual"])
def complete(request):
    return whisper(complete=True, multilingual=request.param)


@pytest.mark.parametrize(
    ("evidence", "is_speech"),
    [
        (Evidence(0.1), True),
        (Evidence(0.6, "so glad", -0.3), True),  # speech in noise
        (Evidence(0.6, "you", -1.2), False),
        (Evidence(0.9, ". . .", -0.1), False),
        (Evidence(0.9, "", -0.1), False),
    ],
)
def test_what_counts_as_speech(evidence, is_speech):
    assert evidence.is_speech is is_speech


def test_numbers_are_those_of_the_model(complete, monkeypatch):
    monkeypatch.setattr(no_speech_mer, "NO_SPEECH", -1.0)
    found = evidence_of(complete, tone())
    model, tokens = complete.model, complete.tokenizer.convert_tokens_to_ids
    begin, marks = ["<|startoftranscript|>"], ["<|notimestamps|>"]
    if model.generation_config.is_multilingual:
        marks = ["<|en|>", "<|transcribe|>", *marks]
    features = complete.feature_extractor(tone(), sampling_rate=16000, return_tensors="pt")["input_features"]
    said = [*complete.tokenizer(f" {found.draft}", add_special_tokens=False)["input_ids"], model.config.eos_token_id]
    said = said[: model.config.max_target_positions - len(begin + marks)]
    given = torch.tensor([[*tokens(begin + marks), *said]])[:, : model.config.max_target_positions]
    with torch.no_grad():
        chances = model(input_features=features, decoder_input_ids=given).logits[0].log_softmax(-1)
    assert found.no_speech == pytest.approx(chances[0, tokens("<|nocaptions|>")].exp().item(), rel=1e-3)
    rows = range(len(begin + marks) - 1, len(begin + marks) - 1 + len(said))
    expected = np.mean([chances[row, token].item() for row, token in zip(rows, said, strict=True)])
    assert found.log_probability == pytest.approx(expected, rel=1e-3)


def test_likely_speech_needs_no_draft(complete):
    assert evidence_of(complete, tone()).draft is None


def test_words_only_where_there_is_speech(complete, monkeypatch):
    (found,) = recognise_words(complete, [tone(2.0)], 16000)
    assert found.text
    assert not found.note
    assert all(0 <= word.start <= word.end <= 2.0 for word in found.words)
    assert "".join("".join(word.text for word in found.words).split()) == "".join(found.text.split())
    monkeypatch.setattr(no_speech_mer, "NO_SPEECH", -1.0)
    (found,) = recognise_words(complete, [tone(2.0)], 16000)
    assert (found.text, found.words) == ("", [])
    assert found.note.startswith("no words: the recogniser heard no speech (no-speech probability 0.")
    assert "mean log-probability of what it would write -" in found.note


def test_silence_is_not_asked_about(complete, monkeypatch):
    monkeypatch.setattr(type(complete), "__call__", lambda *_, **__: pytest.fail("asked"))
    found = recognise_words(complete, [np.full(16000, 0.0005, np.float32)], 16000)
    assert found == [Recognised("", [], "no words: the recogniser heard no speech (silence)")]


def test_models_of_which_nothing_is_known():
    plain = whisper()
    assert not can_tell(plain)
    assert not gives_word_times(plain)
    (found,) = recognise_words(plain, [tone()], 16000)
    assert found.text
    assert found.words is None


def test_words_in_stretches_without_speech_are_left_out():
    words = [TimedWord("so", 1.0, 1.5), TimedWord("glad", 2.5, 3.1), TimedWord("you", 3.4, 3.6)]
    stretches = [_Stretch(0.0, 3.0), _Stretch(3.0, 6.0, False, "silence")]
    found = _believed(Recognised("so glad you", words), stretches)
    assert (found.text, found.words) == ("so glad", words[:2])
    assert found.note == "no words: the recogniser heard no speech in parts (3 to 6 s: silence)"
    assert _believed(Recognised("so glad you", words), stretches[:1]) == Recognised("so glad you", words)
    assert _believed(Recognised(". .", []), stretches[:1]).note.endswith("(it wrote '. .')")
