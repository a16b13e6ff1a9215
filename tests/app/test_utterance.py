"""What the page computes, without Gradio."""

import numpy as np
import pytest
import soundfile

from hf_mer.app.dialogue import add_turn
from hf_mer.app.media import PageError, message_of, read_recording
from hf_mer.app.model import load_page_model, modality_names
from hf_mer.app.texts import about_threshold
from hf_mer.app.utterance import Utterance, compare, decide, predict, warm_up


@pytest.fixture
def silence(tmp_path):
    path = tmp_path / "silence.wav"
    soundfile.write(path, np.zeros(16000), 16000)
    return str(path)


def same(scores, expected):
    assert [item["label"] for item in scores] == [item["label"] for item in expected]
    assert [item["score"] for item in scores] == pytest.approx([item["score"] for item in expected], abs=1e-5)


def test_a_prediction_is_the_pipeline_s(model, write_wav):
    path = write_wav("a.wav", seconds=0.5, rate=22050, channels=2)
    prediction = predict(model, Utterance(path, words=" i am  so glad ", history=("who is it",)))
    expected = model.recognise(path, text="i am so glad", history=["who is it"])
    same(prediction.scores, expected)
    assert prediction.modalities == ("text", "speech")
    assert prediction.utterance.history == ("who is it",)
    assert prediction.text == "i am so glad"
    assert prediction.seconds == pytest.approx(0.5, abs=0.01)
    assert not prediction.notices


def test_one_modality_is_enough(model, write_wav):
    path = write_wav("a.wav")
    same(predict(model, Utterance(path)).scores, model.recognise(path))
    same(predict(model, Utterance(words="what a day")).scores, model.recognise(text="what a day"))
    assert predict(model, Utterance(words="what a day")).envelope is None


def test_a_film_is_heard_and_where_the_model_can_seen(model, film_model, write_video):
    video = write_video("scene.mp4", seconds=0.8)
    same(predict(model, Utterance(video=video)).scores, model.recognise(video))
    seen = predict(film_model, Utterance(video=video, words="yes"))
    same(seen.scores, film_model.recognise({"video": video, "text": "yes"}))
    assert seen.modalities == ("text", "speech", "video")
    mute = write_video("mute.mp4", seconds=0.8, sound=False)
    assert predict(film_model, Utterance(video=mute)).modalities == ("video",)


def test_of_a_recording_and_a_video_it_is_said_which_is_used(model, film_model, write_wav, write_video):
    path, video = write_wav("a.wav"), write_video("scene.mp4", seconds=0.8)
    heard = predict(model, Utterance(path, video))
    same(heard.scores, model.recognise(path))
    assert heard.notices == ("A recording and a video were given: the recording is used, the video is not.",)
    seen = predict(film_model, Utterance(path, video))
    same(seen.scores, film_model.recognise({"audio": path, "video": video}))
    assert "sound is taken from the recording, the picture from the video" in seen.notices[0]


def test_modalities_side_by_side(model, film_model, write_wav, write_video):
    path = write_wav("a.wav")
    columns = compare(model, Utterance(path, words="yes"))
    assert list(columns) == ["speech alone", "text alone", "speech and text"]
    same(columns["speech alone"].scores, model.recognise(path))
    same(columns["text alone"].scores, model.recognise(text="yes"))
    same(columns["speech and text"].scores, model.recognise(path, text="yes"))
    assert [one.modalities for one in columns.values()] == [("speech",), ("text",), ("text", "speech")]
    video = write_video("scene.mp4", seconds=0.8)
    columns = compare(film_model, Utterance(video=video, words="yes"))
    assert list(columns) == ["speech alone", "text alone", "video alone", "speech, text and video"]
    same(columns["video alone"].scores, film_model.recognise({"audio": None, "video": video}))
    with pytest.raises(PageError, match="at least two of those that this model uses: text and speech"):
        compare(model, Utterance(path))


def test_turns_are_recognised_as_the_dialogue(model, write_wav):
    path = write_wav("a.wav")
    turns = []
    for utterance in (Utterance(words="who is it"), Utterance(path), Utterance(path, words="what a day")):
        turns = add_turn(model, turns, utterance)
    whole = model.recognise(
        [{"text": "who is it"}, {"audio": path}, {"audio": path, "text": "what a day"}], dialogue=True
    )
    for turn, expected in zip(turns, whole, strict=True):
        same(turn.scores, expected)
    assert [turn.history for turn in turns] == [(), ("who is it",), ("who is it",)]
    with pytest.raises(PageError, match="nothing to recognise"):
        add_turn(model, turns, Utterance())


def test_words_are_recognised_where_there_are_none(checkpoint, write_wav):
    listening = load_page_model(checkpoint, asr=lambda samples, rate: {"text": "so glad"})
    path = write_wav("a.wav")
    prediction = predict(listening, Utterance(path))
    assert (prediction.text, prediction.recognised) == ("so glad", True)
    assert prediction.modalities == ("text", "speech")
    typed = predict(listening, Utterance(path, words="what a day"))
    assert (typed.text, typed.recognised) == ("what a day", False)
    columns = compare(listening, Utterance(path))
    plain = load_page_model(checkpoint)
    same(columns["speech alone"].scores, plain.recognise(path))
    same(columns["text alone"].scores, plain.recognise(text="so glad"))
    deaf = load_page_model(checkpoint, asr=lambda samples, rate: "")
    assert "No words were recognised" in predict(deaf, Utterance(path)).notices[0]


def test_below_the_threshold_there_is_no_label():
    scores = [{"label": "sad", "score": 0.5}, {"label": "angry", "score": 0.3}]
    assert decide(scores, 0.5) == "sad"
    assert decide(scores, 0.51) is None


def test_the_threshold_is_that_of_what_an_utterance_has(checkpoint):
    model = load_page_model(checkpoint)
    assert (model.has_thresholds, model.threshold(None, ("text",))) == (False, 0.5)
    model.recognise.model.config.thresholds = {"speech": 0.3, "text+speech": 0.4}
    assert model.has_thresholds
    assert [model.threshold(None, had) for had in [("speech",), ("speech", "text"), ("text",)]] == [0.3, 0.4, 0.5]
    assert model.threshold(0.2, ("speech",)) == 0.2
    assert about_threshold(model, ("text",)) == "Threshold 0.50, by default: no validation utterance had text."
    assert (
        about_threshold(model, ("speech",))
        == "Threshold 0.30: 9 in 10 validation utterances with speech score as high."
    )


def test_what_is_wrong_is_said(model, silence, tmp_path, write_wav):
    with pytest.raises(PageError, match="nothing to recognise: record or upload sound or type the words"):
        predict(model, Utterance(words="  "))
    with pytest.raises(PageError, match=r"silence.wav is silent"):
        predict(model, Utterance(silence))
    assert predict(model, Utterance(silence, words="yes")).notices == ("The recording is silent and was ignored.",)
    with pytest.raises(ValueError, match="short.wav: 0.010 s of audio is too short"):
        predict(model, Utterance(write_wav("short.wav", seconds=0.01)))
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound at all" * 9)
    with pytest.raises(ValueError, match="cannot be read as audio") as caught:
        predict(model, Utterance(str(broken)))
    assert message_of(caught.value, [str(broken)]).startswith(
        "broken.wav: cannot be read as audio. Is the file complete"
    )


def test_a_model_of_words_wants_words(tmp_path, write_wav):
    from model_tester import save_tiny_checkpoint

    reader = load_page_model(save_tiny_checkpoint(tmp_path / "text", modalities=["text"], tonal_label_init="none")[0])
    with pytest.raises(PageError, match="nothing to recognise: type the words"):
        predict(reader, Utterance(write_wav("a.wav")))
    with pytest.raises(PageError, match="this model uses only text"):
        compare(reader, Utterance(words="yes"))
    warm_up(reader)


def test_a_long_recording_is_cut_with_a_word_about_it(model, write_wav, monkeypatch):
    path = write_wav("a.wav", seconds=0.5)
    assert read_recording(path, 16000, 0.2).seconds == pytest.approx(0.2)
    monkeypatch.setattr(model.recognise.processor, "max_audio_seconds", 0.2)
    prediction = predict(model, Utterance(path))
    assert "Only the first 0.2 seconds" in prediction.notices[0]
    assert prediction.seconds == pytest.approx(0.2)


def test_messages_tell_nothing_of_the_server(caplog):
    assert message_of(ValueError("/srv/secret/a.wav: is odd"), ["/srv/secret/a.wav", None]) == "a.wav: is odd"
    assert "deleted in the meantime" in message_of(OSError("/tmp/x.wav: no such audio file"), ["/tmp/x.wav"])
    assert "/srv" not in message_of(KeyError("/srv/secret"))
    assert "could not answer" in caplog.text


def test_names_in_a_row():
    assert modality_names(["speech"]) == "speech"
    assert modality_names(["text", "speech", "video"]) == "text, speech and video"
