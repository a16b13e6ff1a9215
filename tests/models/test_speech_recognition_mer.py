import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from media_files import save_film_checkpoint
from model_tester import save_tiny_checkpoint, tiny_speech_config, tone, wave_feature_extractor
from transformers import (
    AutoModelForCTC,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2Processor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
    pipeline,
)

from hf_mer.models import PIPELINE_TASK, audio_mer
from hf_mer.models.speech_recognition_mer import load_recogniser, recognise_words

LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz"]


@pytest.fixture(scope="module")
def ctc(tmp_path_factory):
    """A folder with a tiny random Wav2Vec2ForCTC, whose words are made of letters at random."""
    folder = tmp_path_factory.mktemp("asr")
    vocabulary = folder / "letters.json"
    vocabulary.write_text(json.dumps({letter: index for index, letter in enumerate(LETTERS)}))
    torch.manual_seed(0)
    config = tiny_speech_config(vocab_size=len(LETTERS), pad_token_id=0)
    model = AutoModelForCTC.from_config(config).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(50)
    model.save_pretrained(folder / "ctc")
    Wav2Vec2Processor(wave_feature_extractor(), Wav2Vec2CTCTokenizer(str(vocabulary))).save_pretrained(folder / "ctc")
    return str(folder / "ctc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("mer") / "checkpoint")[0]


@pytest.fixture(scope="module")
def recognise(folder, ctc):
    return pipeline(PIPELINE_TASK, model=folder, asr=ctc, device="cpu")


def close(result, expected):
    assert {item["label"]: item["score"] for item in result} == pytest.approx(
        {item["label"]: item["score"] for item in expected}, abs=1e-5
    )


def whisper(complete=False, multilingual=False):
    """A tiny random Whisper whose tokenizer knows bytes only; complete with what tells speech and times of words."""
    from tokenizers.pre_tokenizers import ByteLevel

    symbols = [*sorted(ByteLevel.alphabet()), "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>",
               *(["<|nocaptions|>"] if complete else []), "<|notimestamps|>"]  # fmt: skip
    first = len(symbols)
    symbols += [f"<|{0.02 * i:.2f}|>" for i in range(151)] if complete else []
    tokenizer = WhisperTokenizer(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[])
    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=len(symbols), num_mel_bins=16, d_model=16, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        max_source_positions=150, max_target_positions=12, pad_token_id=256, bos_token_id=256, eos_token_id=256,
        decoder_start_token_id=257, begin_suppress_tokens=None, init_std=1.0,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    model.generation_config.max_length = 10
    if complete:
        settings = {"no_timestamps_token_id": first - 1, "alignment_heads": [[0, 0]], "is_multilingual": multilingual,
                    "lang_to_id": {"<|en|>": 258}, "task_to_id": {"transcribe": 259}}  # fmt: skip
        for name, value in settings.items():
            setattr(model.generation_config, name, value)
    extractor = WhisperFeatureExtractor(feature_size=16, chunk_length=3)
    return pipeline(
        "automatic-speech-recognition", model=model, tokenizer=tokenizer, feature_extractor=extractor, device="cpu"
    )


class TestWordsOfARecogniser:
    def test_by_name(self, recognise, ctc, write_wav):
        path = write_wav()
        heard = pipeline("automatic-speech-recognition", model=ctc, device="cpu")(tone())["text"]
        assert heard.strip()
        result = recognise(path, threshold=0.0)
        assert set(result) - {"warnings"} == {
            "label",
            "scores",
            "text",
            "timed_words",
        }  # a tiny recogniser says too much
        close(result["scores"], recognise(path, text=result["text"]))
        assert recognise.asr.device == recognise.device

    def test_pipelines(self, folder, ctc, write_wav):
        path = write_wav(rate=8000)
        samples = audio_mer.load_audio(path)
        for asr in (pipeline("automatic-speech-recognition", model=ctc, device="cpu"), whisper()):
            heard = asr({"raw": samples, "sampling_rate": 16000})["text"].strip()
            assert heard
            recognise = pipeline(PIPELINE_TASK, model=folder, asr=asr, device="cpu")
            result = recognise(path, return_attention=True)
            assert result["text"] == heard
            assert result["words"]
            close(result["scores"], recognise(path, text=heard))

    def test_functions(self, folder):
        for answer in ("so glad ", {"text": "so glad"}):
            recognise = pipeline(PIPELINE_TASK, model=folder, asr=lambda samples, rate, answer=answer: answer)
            close(recognise(tone()), recognise(tone(), text="so glad"))
            assert recognise(tone(), threshold=0.0)["text"] == "so glad"

    def test_only_where_words_are_missing(self, folder, write_wav):
        heard = []

        def asr(samples, rate):
            heard.append((len(samples), rate, samples.dtype, samples.ndim))
            return "so glad"

        recognise = pipeline(PIPELINE_TASK, model=folder, asr=asr)
        path = write_wav(rate=8000, channels=2)
        items = [path, {"audio": path, "text": None}, {"audio": path, "text": ""}, {"audio": path, "text": "no"},
                 {"text": "awful"}]  # fmt: skip
        results = recognise(items, threshold=0.0, batch_size=2)
        assert heard == [(6400, 16000, np.float32, 1)] * 2
        assert ["text" in result for result in results] == [True, True, False, False, False]
        assert isinstance(recognise(path), list)
        plain = pipeline(PIPELINE_TASK, model=folder)
        close(results[2]["scores"], plain(path))
        assert abs(results[0]["scores"][0]["score"] - plain(path)[0]["score"]) > 1e-4

    @pytest.mark.parametrize("batch_size", [2, 5])
    def test_batches_change_nothing(self, recognise, write_wav, batch_size):
        items = [write_wav(f"{i}.wav", 0.1 + 0.1 * i, pitch=100.0 + 50 * i) for i in range(5)]
        given = recognise(items, batch_size=batch_size, threshold=0.0)
        for mine, alone in zip(given, [recognise(item, threshold=0.0) for item in items], strict=True):
            assert mine["text"] == alone["text"]
            close(mine["scores"], alone["scores"])
        assert len({result["text"] for result in given}) > 1

    def test_sound_is_decoded_once(self, recognise, write_wav, monkeypatch):
        import soundfile

        opened = []
        read = soundfile.SoundFile.read
        monkeypatch.setattr(
            soundfile.SoundFile, "read", lambda *args, **kwargs: opened.append(args) or read(*args, **kwargs)
        )
        recognise(write_wav())
        assert len(opened) == 1

    def test_workers(self, recognise, write_wav):
        items = [write_wav(f"{i}.wav", 0.1 + 0.1 * i) for i in range(3)]
        for given, item in zip(recognise(items, num_workers=1, batch_size=2), items, strict=True):
            close(given, recognise(item))

    def test_nothing_is_heard(self, folder):
        recognise = pipeline(PIPELINE_TASK, model=folder, asr=lambda samples, rate: " ")
        close(recognise(tone()), pipeline(PIPELINE_TASK, model=folder)(tone()))
        assert recognise(tone(), threshold=0.0)["text"] == ""


class TestTimesOfWords:
    def test_of_ctc(self, recognise, write_wav):
        path = write_wav(seconds=1.0)
        result = recognise(path, return_attention=True)
        timed = result["timed_words"]
        assert " ".join(word["word"] for word in timed) == " ".join(result["text"].split())
        assert all(0 <= word["start"] <= word["end"] <= 1.0 for word in timed)
        assert [(word["word"], word["start"]) for word in result["words"]] == [
            (word["word"], word["start"]) for word in timed[: len(result["words"])]
        ]

    def test_of_windows_count_from_the_beginning_of_the_recording(self, recognise, write_wav):
        first, last = recognise(write_wav(seconds=1.0), window_seconds=0.5, hop_seconds=0.5)["timeline"]
        assert first["timed_words"]
        assert last["timed_words"]
        for window in (first, last):
            for word in window["timed_words"]:
                assert window["start"] <= word["start"] <= word["end"] <= window["end"]

    def test_of_a_function(self, folder):
        chunks = [{"text": " so", "timestamp": (0.1, 0.2)}, {"text": " glad", "timestamp": (0.2, None)}]
        recognise = pipeline(PIPELINE_TASK, model=folder, asr=lambda *_: {"text": "so glad", "chunks": chunks})
        result = recognise(tone(), threshold=0.0)
        assert result["text"] == "so glad"
        assert result["timed_words"] == [
            {"word": "so", "start": 0.1, "end": 0.2}, {"word": "glad", "start": 0.2, "end": 0.4}
        ]  # fmt: skip

    def test_of_words_that_are_given(self, folder):
        recognise = pipeline(PIPELINE_TASK, model=folder)
        chunks = [{"text": "so", "timestamp": (0.1, 0.2)}, {"text": "glad", "timestamp": (0.2, 0.3)}]
        result = recognise(tone(), text=chunks, history=["why?"], return_attention=True)
        close(result["scores"], recognise(tone(), text="so glad", history=["why?"]))
        assert [word.get("start") for word in result["words"]] == [None, 0.1, 0.2]
        assert "text" not in result  # it was not recognised


class TestNoSpeech:
    def test_is_said(self, folder, tiny_checkpoint, ctc, tmp_path):
        import soundfile

        soundfile.write(tmp_path / "quiet.wav", np.zeros(16000), 16000)
        result = pipeline(PIPELINE_TASK, model=folder, asr=ctc, device="cpu")(
            {"audio": str(tmp_path / "quiet.wav")}, threshold=0.0
        )
        assert result["text"] == ""
        assert "no words: the recogniser heard no speech (silence)" in result["warnings"]
        words_only = pipeline(PIPELINE_TASK, model=tiny_checkpoint(modalities=["text"])[0], asr=ctc, device="cpu")
        with pytest.raises(ValueError, match=r"needs text \(no words: the recogniser heard no speech \(silence\)\)"):
            words_only(str(tmp_path / "quiet.wav"))

    def test_half_precision_is_for_accelerators(self, ctc, tmp_path):
        AutoModelForCTC.from_pretrained(ctc).half().save_pretrained(tmp_path)
        Wav2Vec2Processor.from_pretrained(ctc).save_pretrained(tmp_path)
        assert load_recogniser(tmp_path, "cpu").model.dtype == torch.float32


class TestOtherModels:
    def test_text_alone(self, tiny_checkpoint, write_wav, write_video):
        folder = tiny_checkpoint(modalities=["text"])[0]
        recognise = pipeline(PIPELINE_TASK, model=folder, asr=lambda samples, rate: "so glad")
        for source in (write_wav(), write_video(), tone()):
            close(recognise(source), recognise(text="so glad"))
        silent = pipeline(PIPELINE_TASK, model=folder, asr=lambda samples, rate: "")
        with pytest.raises(ValueError, match="no words were recognised in an utterance, and this model needs text"):
            silent(write_wav())

    def test_speech_alone_asks_for_no_words(self, tiny_checkpoint):
        def asr(samples, rate):
            raise AssertionError("asked")

        folder = tiny_checkpoint(modalities=["speech"])[0]
        assert len(pipeline(PIPELINE_TASK, model=folder, asr=asr)(tone())) == 4

    def test_films(self, tmp_path, write_video):
        folder = save_film_checkpoint(tmp_path / "films")
        recognise = pipeline(PIPELINE_TASK, model=folder, asr=lambda samples, rate: "so glad")
        path, mute = write_video(), write_video("mute.mp4", sound=False)
        close(recognise(path), recognise(path, text="so glad"))
        close(recognise(mute), pipeline(PIPELINE_TASK, model=folder)(mute))


def test_refused(folder, tmp_path):
    with pytest.raises(TypeError, match="asr must be a speech-recognition pipeline, the name .* got a int"):
        pipeline(PIPELINE_TASK, model=folder, asr=3)
    with pytest.raises(TypeError, match="asr must give a string, or a dictionary with 'text', got 3"):
        recognise_words(lambda samples, rate: 3, [tone()], 16000)
    with pytest.raises((OSError, ValueError), match="nowhere"):
        load_recogniser(str(tmp_path / "nowhere"), torch.device("cpu"))
    assert load_recogniser(None, torch.device("cpu")) is None


WITHOUT_PACKAGE = """
import sys, json
sys.modules["hf_mer"] = None
from transformers import pipeline
folder, asr, wav = sys.argv[1:4]
recognise = pipeline("multimodal-emotion-recognition", model=folder, asr=asr, trust_remote_code=True, device="cpu")
result = recognise(wav, threshold=0.0), recognise([wav, wav], dialogue=True), recognise(wav, window_seconds=0.2)
print("RESULT" + json.dumps([type(recognise).__module__.split(".")[0], *result]))
"""


@pytest.mark.slow
def test_without_the_package(folder, ctc, write_wav, recognise, tmp_path):
    """The code that travels with a checkpoint recognises words, keeps dialogues and cuts windows."""
    import os

    path = write_wav()
    environment = {**os.environ, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    environment.pop("HF_MODULES_CACHE", None)
    command = [sys.executable, "-c", WITHOUT_PACKAGE, folder, ctc, path]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    module, alone, turns, windows = json.loads(done.stdout.split("RESULT")[-1])
    assert module == "transformers_modules"
    expected = recognise(path, threshold=0.0)
    assert alone["text"] == expected["text"]
    close(alone["scores"], expected["scores"])
    for given, mine in zip(turns, recognise([path, path], dialogue=True), strict=True):
        close(given, mine)
    close(windows["scores"], recognise(path, window_seconds=0.2)["scores"])


def test_a_recogniser_of_another_rate(ctc, little_memory, monkeypatch):
    asr = load_recogniser(ctc, torch.device("cpu"))
    monkeypatch.setattr(asr.feature_extractor, "sampling_rate", 8000)
    of_transformers = asr({"raw": tone(), "sampling_rate": 16000})["text"]
    assert [one.text for one in recognise_words(asr, [tone()], 16000)] == [of_transformers]
    monkeypatch.setattr(asr.feature_extractor, "sampling_rate", 15_999)
    with little_memory():
        assert len(recognise_words(asr, [tone()], 16000)) == 1
    monkeypatch.setattr(asr.feature_extractor, "sampling_rate", 999_983)
    with pytest.raises(ValueError, match="recogniser's Wav2Vec2FeatureExtractor: a sampling rate of 999983 Hz"):
        recognise_words(asr, [tone()], 16000)
