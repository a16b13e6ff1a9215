import json
import math
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import datasets
import numpy as np
import pytest
import soundfile
from media_files import save_film_checkpoint
from model_tester import LABELS, save_tiny_checkpoint, tone
from transformers import pipeline

from hf_mer.models import PIPELINE_TASK
from hf_mer.models.audio_mer import AudioError, load_audio
from hf_mer.models.long_recordings_mer import Windows, overall, window_utterances, without_overlap
from hf_mer.models.timed_words_mer import joined, within
from hf_mer.models.utterances_mer import UtteranceLoader

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("long") / "checkpoint")[0]


@pytest.fixture(scope="module")
def recognise(folder):
    return pipeline(PIPELINE_TASK, model=folder, device="cpu")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return pipeline(PIPELINE_TASK, model=save_film_checkpoint(tmp_path_factory.mktemp("films") / "c"), device="cpu")


@pytest.fixture
def call(tmp_path):
    """A recording of 2.3 s at 22.05 kHz whose pitch changes, so that its windows differ."""
    samples = np.concatenate([tone(0.46, 22050, pitch) for pitch in (110, 330, 220, 440, 150)])
    soundfile.write(tmp_path / "call.wav", samples, 22050)
    return str(tmp_path / "call.wav")


def scores(result):
    return {item["label"]: item["score"] for item in result}


def close(result, expected):
    assert scores(result) == pytest.approx(scores(expected), abs=1e-5)


class TestWindows:
    def test_windows_of_a_stream_are_cut_from_the_whole(self):
        generator = np.random.default_rng(0)
        for trial in range(200):
            seconds, share = generator.uniform(0.1, 0.6), generator.uniform(0.05, 1.0)
            windows = Windows(seconds, max(0.01, seconds * share), 0.05)
            total, rate = int(generator.integers(60, 1500)), 1000
            signal = np.arange(total, dtype=np.float32)
            cuts = np.sort(generator.integers(0, total, 5))
            found = list(windows.cut(iter(np.split(signal, cuts)), rate))
            starts = [start for start, _, _ in found]
            assert [is_last for *_, is_last in found] == [False] * (len(found) - 1) + [True], trial
            for index, (start, samples, is_last) in enumerate(found):
                np.testing.assert_array_equal(samples, signal[start : start + len(samples)])
                assert is_last or (start, len(samples)) == (round(index * windows.hop * rate), round(seconds * rate))
                assert len(samples) >= min(50, total)
            assert starts == sorted(starts)
            assert found[-1][0] + len(found[-1][1]) == total
            if len(found) > 1:  # the last one hears something new
                assert found[-2][0] + len(found[-2][1]) < total
            spans = list(windows.spans(total / rate))
            assert abs(len(spans) - len(found)) <= 1  # rounding to samples
            assert spans[-1][1:] == (total / rate, True)

    @pytest.mark.parametrize(
        ("seconds", "total", "spans"),
        [
            (1.0, 2.5, [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5)]),
            (1.0, 0.7, [(0, 0.7)]),
            (1.0, 1.0, [(0, 1)]),
            (1.0, 1.2, [(0, 1), (0.5, 1.2)]),
        ],
    )
    def test_spans(self, recognise, seconds, total, spans):
        windows = Windows.of(recognise.processor, seconds, None)
        assert windows.hop == seconds / 2
        found = [(start, end) for start, end, _ in windows.spans(total)]
        assert found == [pytest.approx(span) for span in spans]

    def test_what_is_left_is_made_long_enough(self):
        found = list(Windows(0.5, 0.5, 0.05).cut([np.arange(1010, dtype=np.float32)], 1000))
        assert [(start, len(samples)) for start, samples, _ in found] == [(0, 500), (500, 500), (960, 50)]
        assert list(Windows(0.5, 0.5, 0.05).spans(1.01))[-1] == (pytest.approx(0.96), 1.01, True)

    def test_refused(self, recognise):
        for settings, message in (
            ({"window_seconds": 0.01}, "window_seconds=0.01 must be at least 0.05, the processor's min_audio_seconds"),
            ({"window_seconds": 31.0}, "window_seconds=31.0 must be at most 30.0, the processor's max_audio_seconds"),
            ({"window_seconds": 1.0, "hop_seconds": 1.5}, "hop_seconds=1.5 must be above 0 and at most"),
            ({"window_seconds": 1.0, "hop_seconds": 0.0}, "hop_seconds=0.0 must be above 0"),
            ({"hop_seconds": 1.0}, "hop_seconds=1.0 needs window_seconds"),
        ):
            with pytest.raises(ValueError, match=message):
                recognise(tone(), **settings)


WORDS = [("a", 0.0, 0.4), ("b", 0.8, 1.2), ("c", 1.1, 1.5), ("long", 1.0, 9.0), ("open", 9.5, math.inf), ("", 0, 1)]


class TestWords:
    @pytest.mark.parametrize(
        ("span", "words"),
        [
            ((0.0, 1.0), "a b"), ((1.0, 2.0), "b c long"), ((0.0, 2.0), "a b c long"), ((4.0, 5.0), "long"),
            ((8.8, 9.8), "open"), ((10.0, 11.0), ""),
        ],
    )  # fmt: skip
    def test_within(self, span, words):
        assert joined(within(WORDS, *span)) == words

    def test_every_word_is_in_some_window(self):
        generator = np.random.default_rng(0)
        for _ in range(100):
            starts = np.sort(generator.uniform(0, 10, 20))
            chunks = [(str(i), start, start + generator.uniform(0, 3)) for i, start in enumerate(starts)]
            spans = list(Windows(1.5, generator.uniform(0.2, 1.5), 0.05).spans(13.0))
            found = " ".join(joined(within(chunks, start, end)) for start, end, _ in spans).split()
            assert set(found) == {text for text, _, _ in chunks}

    def test_refused(self, recognise, call):
        for text, message in (
            ("so glad", "text of a long recording needs times"),
            ([{"text": "so"}], "text: item 0 is {'text': 'so'}; it must be like"),
            ([{"text": "so", "timestamp": (0, 1)}, "glad"], "text: item 1 is 'glad'"),
        ):
            with pytest.raises(ValueError, match=message):
                recognise({"audio": call, "text": text}, window_seconds=1.0)
        with pytest.raises(ValueError, match=r"text must be a string or \[\{'text'.* got 3"):
            recognise({"audio": call, "text": 3})


class TestTimeLine:
    def test_is_what_the_cut_signal_gives(self, recognise, call):
        result = recognise(call, window_seconds=0.8, hop_seconds=0.3)
        signal = load_audio(call)
        assert set(result) == {"scores", "timeline"}
        spans = [(entry["start"], entry["end"]) for entry in result["timeline"]]
        assert spans == [pytest.approx((0.3 * k, min(0.3 * k + 0.8, 2.3)), abs=1e-4) for k in range(6)]
        total = np.zeros(4)
        for (start, end), entry in zip(spans, result["timeline"], strict=True):
            assert set(entry) == {"start", "end", "modalities", "scores"}
            close(entry["scores"], recognise(signal[round(start * 16000) : round(end * 16000)]))
            total += (end - start) * np.array([scores(entry["scores"])[label] for label in LABELS])
        weights = sum(end - start for start, end in spans)
        assert scores(result["scores"]) == pytest.approx(dict(zip(LABELS, total / weights, strict=True)), abs=1e-6)
        json.dumps(result)

    @pytest.mark.parametrize("batch_size", [2, 8])
    def test_batches_change_nothing(self, recognise, call, batch_size):
        alone = recognise(call, window_seconds=0.8, hop_seconds=0.3, return_attention=True)
        given = recognise(call, window_seconds=0.8, hop_seconds=0.3, return_attention=True, batch_size=batch_size)
        close(given["scores"], alone["scores"])
        for mine, theirs in zip(given["timeline"], alone["timeline"], strict=True):
            close(mine["scores"], theirs["scores"])
            assert mine["frames"]["sad"] == pytest.approx(theirs["frames"]["sad"], abs=1e-5)
            assert mine["frames"]["seconds"] == theirs["frames"]["seconds"]

    def test_times_of_frames_are_those_of_the_recording(self, recognise, call):
        for entry in recognise(call, window_seconds=0.8, hop_seconds=0.3, return_attention=True)["timeline"]:
            assert entry["start"] < entry["frames"]["seconds"][0] < entry["start"] + 0.01
            assert entry["end"] - 0.01 < entry["frames"]["seconds"][-1] < entry["end"]

    def test_many_recordings(self, recognise, call, write_wav):
        sources = [call, write_wav(seconds=0.3), {"audio": call, "history": ["who is it"]}]
        results = recognise(sources, window_seconds=1.0, batch_size=3)
        assert [len(result["timeline"]) for result in results] == [4, 1, 4]
        for result, source in zip(results, sources, strict=True):
            close(result["scores"], recognise(source, window_seconds=1.0)["scores"])
        close(results[1]["scores"], recognise(sources[1]))
        for others in (
            (source for source in sources),
            datasets.Dataset.from_list([{"audio": call}, {"audio": sources[1]}]),
        ):
            streamed = list(recognise(others, window_seconds=1.0))
            assert len(streamed) >= 2
            for result, given in zip(results, streamed, strict=False):
                close(given["scores"], result["scores"])

    def test_words_with_times(self, recognise, call):
        chunks = [{"text": " so glad", "timestamp": (0.1, 0.5)}, {"text": " awful", "timestamp": (1.6, None)}]
        result = recognise({"audio": call, "text": chunks}, window_seconds=1.0, hop_seconds=1.0)
        assert [entry["text"] for entry in result["timeline"]] == ["so glad", "awful", ""]
        signal = load_audio(call)
        for start, entry in enumerate(result["timeline"]):
            part = {"audio": signal[start * 16000 : (start + 1) * 16000], "text": entry["text"]}
            close(entry["scores"], recognise(part))
        keyword = recognise(call, text=chunks, window_seconds=1.0, hop_seconds=1.0)
        assert [entry["text"] for entry in keyword["timeline"]] == ["so glad", "awful", ""]
        whole = recognise(
            {"audio": call, "text": {"text": "...", "chunks": chunks}}, window_seconds=1.0, hop_seconds=1.0
        )
        assert whole == result

    def test_words_of_a_recogniser(self, folder, call):
        heard = []

        def asr(samples, rate):
            heard.append(len(samples) / rate)
            return {"text": "so glad" if len(heard) == 1 else ""}

        recognise = pipeline(PIPELINE_TASK, model=folder, asr=asr)
        result = recognise(call, window_seconds=1.0, hop_seconds=1.0)
        assert heard == [1.0, 1.0, pytest.approx(0.3, abs=1e-4)]
        assert [entry["text"] for entry in result["timeline"]] == ["so glad", "", ""]
        close(result["timeline"][0]["scores"], recognise({"audio": load_audio(call)[:16000], "text": "so glad"}))

    def test_abstention(self, recognise, call):
        result = recognise(call, window_seconds=1.0, threshold=1.0, top_k=1)
        assert result["label"] is None
        assert [entry["label"] for entry in result["timeline"]] == [None] * 4
        assert [len(entry["scores"]) for entry in result["timeline"]] == [1] * 4
        result = recognise(call, window_seconds=1.0, threshold=0.0)
        assert result["label"] == result["scores"][0]["label"]

    def test_a_span_of_a_file(self, recognise, call):
        source = {"path": call, "start": 0.5, "end": 2.1}
        result = recognise(source, window_seconds=1.0, hop_seconds=1.0)
        assert [(entry["start"], entry["end"]) for entry in result["timeline"]] == [
            (0.5, 1.5), pytest.approx((1.5, 2.1), abs=1e-4)
        ]  # fmt: skip
        close(result["timeline"][0]["scores"], recognise({"path": call, "start": 0.5, "end": 1.5}))

    def test_kinds_of_sources(self, recognise, call):
        expected = recognise(call, window_seconds=1.0)
        samples, rate = soundfile.read(call, dtype="float32")
        content = Path(call).read_bytes()
        for source in (
            content,
            {"array": samples, "sampling_rate": rate},
            {"audio": call},
            {"path": call, "bytes": content},
        ):
            close(recognise(source, window_seconds=1.0)["scores"], expected["scores"])
        close(recognise(samples, sampling_rate=rate, window_seconds=1.0)["scores"], expected["scores"])

    def test_refused(self, recognise, tmp_path):
        with pytest.raises(AudioError, match="gone.wav: no such audio file"):
            recognise(str(tmp_path / "gone.wav"), window_seconds=1.0)
        with pytest.raises(AudioError, match="too short"):
            recognise(tone(0.02), window_seconds=1.0)
        with pytest.raises(ValueError, match="the turns of a dialogue are not cut into windows"):
            recognise([{"text": "so"}], dialogue=True, window_seconds=1.0)
        with pytest.raises(ValueError, match="nothing that this model can use"):
            recognise({"audio": None}, window_seconds=1.0)


class TestWithoutOverlap:
    def test_means_of_what_lies_over(self):
        spans = [(0.0, 2.0), (1.0, 3.0), (2.0, 3.5)]
        given = [np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.2, 0.8])]
        cells, means = without_overlap(spans, given)
        # 0-1 the first; 1-2 both; then the second two and the third alone, both for the second class
        assert cells == [(0.0, 2.0), (2.0, 3.5)]
        np.testing.assert_allclose(means, [[0.75, 0.25], [(0.1 + 0.2 * 0.5) / 1.5, (0.9 + 0.8 * 0.5) / 1.5]])

    def test_gaps_stay(self):
        cells, _ = without_overlap([(0.0, 1.0), (2.0, 3.0)], [np.array([1.0, 0.0])] * 2)
        assert cells == [(0.0, 1.0), (2.0, 3.0)]

    def test_mean_is_kept(self):
        """Without overlap there is nothing to do but joining, which does not change the whole."""
        spans = [(0.0, 1.0), (1.0, 2.0), (2.0, 2.4)]
        given = list(np.random.default_rng(0).dirichlet(np.ones(4), 3))
        np.testing.assert_allclose(overall(*without_overlap(spans, given)), overall(spans, given))

    def test_of_the_pipeline(self, recognise, call):
        plain = recognise(call, window_seconds=0.8, hop_seconds=0.3, threshold=0.2)
        merged = recognise(call, window_seconds=0.8, hop_seconds=0.3, threshold=0.2, merge_overlaps=True)
        assert merged["scores"] == plain["scores"]
        assert merged["timeline"][0]["start"] == 0
        assert merged["timeline"][-1]["end"] == pytest.approx(2.3, abs=1e-4)
        ends = [entry["end"] for entry in merged["timeline"][:-1]]
        assert ends == [entry["start"] for entry in merged["timeline"][1:]]
        assert all(set(entry) == {"start", "end", "label", "scores"} for entry in merged["timeline"])


class TestFilms:
    def test_pictures_of_every_window(self, films, write_video):
        path = write_video(seconds=1.6)
        result = films(path, window_seconds=0.8, hop_seconds=0.4, batch_size=2)
        assert len(result["timeline"]) >= 3
        for entry in result["timeline"][:3]:
            span = {"path": path, "start": entry["start"], "end": entry["end"]}
            close(entry["scores"], films({"audio": span, "video": span}))

    def test_picture_alone(self, films, write_video, caplog):
        path = write_video(seconds=1.6, sound=False)
        result = films(path, window_seconds=0.8, hop_seconds=0.8)
        assert [(entry["start"], entry["end"]) for entry in result["timeline"]] == [
            pytest.approx((0.0, 0.8)), pytest.approx((0.8, 1.6))
        ]  # fmt: skip
        assert "has no sound; only the other inputs are used" in caplog.text
        for entry in result["timeline"]:
            close(entry["scores"], films({"video": {"path": path, "start": entry["start"], "end": entry["end"]}}))

    def test_sound_and_picture_by_clocks_of_their_own(self, films, write_video, write_wav):
        film, sound = write_video(seconds=2.0), write_wav(seconds=0.8)
        span = {"path": film, "start": 1.0, "end": 1.8}
        result = films({"audio": sound, "video": span}, window_seconds=0.4, hop_seconds=0.4)
        assert [(entry["start"], entry["end"]) for entry in result["timeline"]] == [(0, 0.4), (0.4, 0.8)]
        for entry in result["timeline"]:
            heard = {"path": sound, "start": entry["start"], "end": entry["end"]}
            seen = {"path": film, "start": 1.0 + entry["start"], "end": 1.0 + entry["end"]}
            close(entry["scores"], films({"audio": heard, "video": seen}))
        late = films({"audio": {"path": film, "start": 1.2}, "video": write_video("b.mp4", seconds=0.8)},
                     window_seconds=0.4, hop_seconds=0.4)  # fmt: skip
        assert [entry["modalities"] for entry in late["timeline"]][:2] == [["speech", "video"]] * 2

    def test_picture_that_ends_before_the_sound(self, films, write_video, write_wav, caplog):
        film, sound = write_video(seconds=0.8), write_wav(seconds=3.0)
        result = films({"audio": sound, "video": film}, window_seconds=1.0, hop_seconds=1.0)
        assert len(result["timeline"]) == 3
        assert caplog.text.count("no picture from") == 1
        assert "no picture from 1.00 to 2.00 s, and maybe later; only the other inputs are used" in caplog.text

    def test_a_model_without_video_hears_the_film(self, recognise, write_video):
        path = write_video(seconds=1.6)
        result = recognise(path, window_seconds=0.8, hop_seconds=0.8)
        first = load_audio(path)[: round(0.8 * 16000)]
        close(result["timeline"][0]["scores"], recognise(first))


def test_text_alone(tiny_checkpoint, call):
    """Windows over timed words, without any sound; those without words are left out."""
    recognise = pipeline(PIPELINE_TASK, model=tiny_checkpoint(modalities=["text"])[0])
    chunks = [{"text": "so glad", "timestamp": (0.0, 0.5)}, {"text": "awful", "timestamp": (2.0, 2.5)}]
    result = recognise({"text": chunks}, window_seconds=0.5, hop_seconds=0.5)
    assert [(entry["start"], entry["text"]) for entry in result["timeline"]] == [(0.0, "so glad"), (2.0, "awful")]
    close(result["timeline"][1]["scores"], recognise(text="awful"))
    with pytest.raises(ValueError, match="no window with anything"):
        recognise({"text": [{"text": " ", "timestamp": (0.0, 0.5)}]}, window_seconds=0.5)


def write_long(path, seconds, rate=8000):
    """Noise, written in blocks."""
    generator = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 1) as file:
        for _ in range(int(seconds)):
            file.write(generator.normal(scale=0.1, size=rate).astype(np.float32))
    return str(path)


def test_memory_does_not_grow_with_the_recording(recognise, tmp_path):
    """What Python and NumPy allocate at most for loading half a minute and eight minutes, resampled."""
    loader = UtteranceLoader(recognise.processor, ["text", "speech"])
    windows = Windows(2.0, 1.0, 0.05)
    peaks = []
    for seconds in (30, 480):
        path = write_long(tmp_path / f"{seconds}.wav", seconds)
        tracemalloc.start()
        count = sum(1 for _ in window_utterances({"audio": path}, loader, windows))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == seconds - 1
    whole = 480 * 16000 * 4
    assert peaks[1] < 1.1 * peaks[0] < 0.2 * whole


PEAK = """
import sys
from transformers import pipeline
import hf_mer.models
recognise = pipeline("multimodal-emotion-recognition", model=sys.argv[1], device="cpu")
result = recognise(sys.argv[2], window_seconds=2.0, hop_seconds=2.0, batch_size=4)
(line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print("RESULT", len(result["timeline"]), int(line.split()[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="Linux counts a process' own peak memory there")
def test_peak_memory_of_one_and_sixty_minutes(folder, tmp_path):
    """Of the whole pipeline, each in a process of its own."""
    found = {}
    for minutes in (1, 60):
        path = write_long(tmp_path / f"{minutes}.wav", 60 * minutes)
        command = [sys.executable, "-c", PEAK, folder, path]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr[-3000:]
        count, peak = done.stdout.split("RESULT")[-1].split()
        found[minutes] = float(peak)
        assert int(count) == 30 * minutes
        print(f"{minutes} min: {count} windows, {float(peak):.0f} MiB")
    assert found[60] < found[1] + 30  # the whole would be 220 MiB, the time line is 2
