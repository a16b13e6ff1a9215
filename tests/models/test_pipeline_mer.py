import json
from collections import deque
from pathlib import Path

import datasets
import numpy as np
import pandas
import pyarrow
import pytest
import torch
from media_files import save_film_checkpoint
from model_tester import LABELS, save_tiny_checkpoint, tiny_store, tone
from transformers import pipeline

from hf_mer.models import (
    PIPELINE_TASK,
    LeMerForEmotionClassification,
    MerProcessor,
    MultimodalEmotionRecognitionPipeline,
)
from hf_mer.models.audio_mer import AudioError
from hf_mer.models.video_mer import VideoError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_checkpoint(tmp_path_factory.mktemp("pipeline") / "checkpoint")[0]


@pytest.fixture(scope="module")
def recognise(folder):
    return pipeline(PIPELINE_TASK, model=folder, device="cpu")


def scores(result):
    return {item["label"]: item["score"] for item in result}


def close(result, expected):
    assert scores(result) == pytest.approx(scores(expected), abs=1e-5)


@pytest.fixture
def expected(recognise):
    """What model and processor say when they are used by hand."""

    def by_hand(audio=None, text=None, history=None):
        with torch.no_grad():
            logits = recognise.model(**recognise.processor(audio=audio, text=text, history=history)).logits[0]
        return [
            {"label": label, "score": score} for label, score in zip(LABELS, logits.softmax(-1).tolist(), strict=True)
        ]

    return by_hand


class TestOneUtterance:
    def test_kinds_of_audio(self, recognise, expected, write_wav):
        assert isinstance(recognise, MultimodalEmotionRecognitionPipeline)
        path = write_wav()
        reference = expected(audio=path)
        content = Path(path).read_bytes()
        array = tone()
        for source in (path, content, array, torch.from_numpy(array), {"audio": path},
                       {"array": array, "sampling_rate": 16000}, {"raw": array, "sampling_rate": 16000},
                       {"path": path, "bytes": None}, {"path": "gone.wav", "bytes": content}):  # fmt: skip
            result = recognise(source)
            assert scores(result) == pytest.approx(scores(reference), abs=1e-3)
            assert [item["score"] for item in result] == sorted((item["score"] for item in result), reverse=True)
            assert sum(item["score"] for item in result) == pytest.approx(1, abs=1e-5)

    def test_rate_of_an_array(self, recognise, expected):
        reference = expected(audio={"array": tone(rate=8000), "sampling_rate": 8000})
        close(recognise(tone(rate=8000), sampling_rate=8000), reference)
        close(recognise({"audio": tone(rate=8000), "sampling_rate": 8000}), reference)

    def test_text_and_history(self, recognise, expected, write_wav):
        path = write_wav()
        both = expected(audio=path, text="so glad", history=["who is it"])
        close(recognise(path, text="so glad", history=["who is it"]), both)
        close(recognise({"audio": path, "text": "so glad", "history": ["who is it"]}), both)
        close(recognise({"audio": path, "history": ["who is it"]}, text="so glad"), both)
        close(recognise({"audio": path, "text": "so glad"}, history=["who is it"]), both)
        text = expected(text="so glad", history=["who is it"])
        close(recognise({"text": "so glad", "history": ["who is it"]}), text)
        close(recognise(text="so glad", history=["who is it"]), text)
        close(recognise({"text": "so glad"}, history=["who is it"]), text)
        assert abs(scores(both)["sad"] - scores(text)["sad"]) > 1e-4

    def test_top_k(self, recognise):
        everything = recognise(text="so glad")
        assert len(everything) == 4
        assert recognise(text="so glad", top_k=2) == everything[:2]
        assert len(recognise(text="so glad", top_k=9)) == 4


class TestManyUtterances:
    @pytest.fixture
    def items(self, write_wav):
        return [
            {"audio": write_wav("a.wav", 0.4), "text": "so glad", "history": ["who is it"]},
            {"audio": write_wav("b.wav", 0.2, pitch=330.0), "text": None},
            {"text": "awful day"},
            {"audio": write_wav("c.wav", 0.3, pitch=110.0), "text": "yes", "history": []},
            {"audio": write_wav("d.wav", 0.1, pitch=150.0), "text": "i am so glad you came"},
        ]

    @pytest.mark.parametrize("batch_size", [1, 2, 4])
    @pytest.mark.parametrize("return_attention", [False, True])
    def test_batches_change_nothing(self, recognise, items, batch_size, return_attention):
        single = [recognise(item, return_attention=return_attention) for item in items]
        listed = recognise(items, batch_size=batch_size, return_attention=return_attention)
        assert isinstance(listed, list)
        assert len(listed) == 5
        for given, alone in zip(listed, single, strict=True):
            if return_attention:
                close(given["scores"], alone["scores"])
                assert [(word["word"], word["current"]) for word in given["words"]] == [
                    (word["word"], word["current"]) for word in alone["words"]
                ]
                assert given["frames"] == pytest.approx(alone["frames"], abs=1e-5) if not alone["frames"] else True
                for name in alone["frames"]:
                    assert given["frames"][name] == pytest.approx(alone["frames"][name], abs=1e-5)
                for mine, theirs in zip(given["words"], alone["words"], strict=True):
                    assert mine["sad"] == pytest.approx(theirs["sad"], abs=1e-5)
            else:
                close(given, alone)

    def test_generator(self, recognise, items):
        results = recognise((item for item in items), batch_size=2)
        assert not isinstance(results, list)
        for given, alone in zip(results, [recognise(item) for item in items], strict=True):
            close(given, alone)

    @pytest.mark.parametrize("as_audio", [False, True])
    def test_rows_of_datasets(self, recognise, items, as_audio):
        rows = [
            {"audio": item.get("audio"), "text": item.get("text"), "history": item.get("history") or []}
            for item in items
        ]
        rows = datasets.Dataset.from_list(rows)
        if as_audio:
            rows = rows.cast_column("audio", datasets.Audio(sampling_rate=16000, decode=False))
        results = recognise(rows, batch_size=2)
        assert len(results) == 5
        for given, alone in zip(results, [recognise(item) for item in items], strict=True):
            close(given, alone)
        close(recognise(rows[0]), next(iter(results)))

    def test_an_audio_column_is_read_by_our_own_reader(self, recognise, write_wav, expected):
        paths = [write_wav(f"{pitch}.wav", pitch=pitch) for pitch in (200.0, 300.0, 400.0)]
        wanted = [expected(audio=path) for path in paths]
        rows = datasets.Dataset.from_dict({"audio": paths, "label": [0, 1, 2]})
        rows = rows.cast_column("audio", datasets.Audio())
        for inputs in (rows, rows["audio"], rows.to_iterable_dataset(), rows.to_iterable_dataset()["audio"]):
            for given, one in zip(recognise(inputs, batch_size=2), wanted, strict=True):
                close(given, one)
        assert isinstance(recognise(rows["audio"]), list)
        texts = ["so", "yes", "no"]
        for given, path, text in zip(recognise(rows["audio"], text=texts), paths, texts, strict=True):
            close(given, expected(audio=path, text=text))
        assert len(recognise(rows, dialogue=True)) == len(recognise({"dialogue": rows})) == 3
        with pytest.raises(ValueError, match=r"a DatasetDict of train: give one of them, \['train'\]"):
            recognise(datasets.DatasetDict({"train": rows}))

    @pytest.mark.parametrize(
        "form",
        [
            tuple,
            deque,
            np.array,
            lambda paths: np.array(paths, dtype=object),
            pandas.Series,
            pandas.Index,
            lambda paths: pandas.Series(paths, dtype=object),
            lambda paths: dict(enumerate(paths)).values(),
            lambda paths: dict.fromkeys(paths).keys(),
            lambda paths: pandas.DataFrame({"audio": paths, "label": 0}),
            lambda paths: pyarrow.array(paths),
            lambda paths: pyarrow.table({"audio": paths}),
        ],
    )
    def test_lists_in_all_but_name(self, recognise, write_wav, form):
        paths = [write_wav(f"{pitch}.wav", pitch=pitch) for pitch in (200.0, 300.0)]
        results, wanted = recognise(form(paths)), recognise(paths)
        assert isinstance(results, list)
        for given, one in zip(results, wanted, strict=True):
            close(given, one)

    def test_other_collections(self, recognise, write_wav, expected):
        path = write_wav()
        once = type("Once", (), {"__iter__": lambda _: iter([path, path])})()
        assert len(list(recognise(once))) == 2
        close(recognise(pandas.Series(tone())), expected(audio=tone()))
        table = pandas.DataFrame({"path": [path, None], "words": ["so", "yes"]})
        close(recognise(table["path"], text=table["words"])[1], expected(text="yes"))
        for given, message in (({path}, "a set has no order"), ({path: 1}.items(), "a dict_items has pairs")):
            with pytest.raises(ValueError, match=message):
                recognise(given)

    def test_columns_beside_a_list(self, recognise, items):
        paths = [item.get("audio") for item in items]
        texts = [item.get("text") for item in items]
        histories = [item.get("history") for item in items]
        for given, alone in zip(recognise(paths, text=texts, history=histories, batch_size=3), items, strict=True):
            close(given, recognise(alone))
        for given, text in zip(recognise(text=["so glad", "awful"]), ["so glad", "awful"], strict=True):
            close(given, recognise(text=text))

    def test_workers(self, recognise, items):
        for given, alone in zip(recognise(items, batch_size=2, num_workers=1), items, strict=True):
            close(given, recognise(alone))

    def test_nothing(self, recognise):
        assert recognise([]) == []


class TestAttention:
    def test_content(self, recognise, write_wav):
        path = write_wav()
        result = recognise(path, text="so happy!", history=["who is it"], return_attention=True)
        assert set(result) == {"scores", "words", "frames", "keywords"}
        close(result["scores"], recognise(path, text="so happy!", history=["who is it"]))
        assert [(word["word"], word["current"]) for word in result["words"]] == [
            ("who", False), ("is", False), ("it", False), ("so", True), ("happy!", True),
        ]  # fmt: skip
        with torch.no_grad():
            batch = recognise.processor(audio=path, text="so happy!", history=["who is it"])
            output = recognise.model(**batch, output_attentions=True)
        # [CLS] who is it [SEP] so h ##a ##p ##p ##y ! [SEP]
        for label, value in zip(LABELS, output.text_label_attention[0, 6:12].mean(dim=0).tolist(), strict=True):
            assert result["words"][4][label] == pytest.approx(value, abs=1e-6)
        frames = result["frames"]
        assert set(frames) == {"seconds", *LABELS}
        assert frames["sad"] == pytest.approx(output.speech_label_attention[0, :, 3].tolist(), abs=1e-6)
        assert len(frames["seconds"]) == len(frames["sad"]) == int(output.speech_mask.sum())
        assert frames["seconds"][-1] < 0.4
        json.dumps(result)

    def test_missing_modalities(self, recognise, write_wav):
        assert recognise(text="so", return_attention=True)["frames"] == {}
        assert recognise(write_wav(), return_attention=True)["words"] == []

    def test_one_frame_or_word_in_a_batch(self, recognise, write_wav):
        items = [{"text": "so"}, {"text": "so"}, {"audio": write_wav(), "text": "so glad"}]
        results = recognise(items, batch_size=3, return_attention=True)
        assert [len(result["words"]) for result in results] == [1, 1, 2]

    def test_model_without_label_embeddings(self, tiny_checkpoint, write_wav):
        folder, _ = tiny_checkpoint(
            fusion="vanilla", text_label_init="none", tonal_label_init="none", with_store=False
        )
        result = pipeline(PIPELINE_TASK, model=folder)(write_wav(), text="so", return_attention=True)
        assert result["words"] == []
        assert result["frames"] == {}
        assert len(result["scores"]) == 4


class TestOtherModels:
    def test_text_only(self, tiny_checkpoint, write_wav):
        recognise = pipeline(PIPELINE_TASK, model=tiny_checkpoint(modalities=["text"])[0])
        close(recognise({"audio": write_wav(), "text": "so glad"}), recognise(text="so glad"))
        with pytest.raises(ValueError, match="nothing that this model can use; it needs text"):
            recognise(write_wav("b.wav"))

    def test_log_mel_encoder(self, tiny_checkpoint, write_wav):
        folder, _ = tiny_checkpoint(speech_type="wav2vec2-bert")
        recognise = pipeline(PIPELINE_TASK, model=folder)
        items = [
            {"audio": write_wav("a.wav", 0.4), "text": "so"},
            {"audio": write_wav("b.wav", 0.2), "text": "yes no"},
        ]
        for given, alone in zip(recognise(items, batch_size=2), items, strict=True):
            close(given, recognise(alone))

    def test_half_precision(self, folder, write_wav, recognise):
        half = pipeline(PIPELINE_TASK, model=folder, dtype=torch.bfloat16)
        assert half.model.dtype == torch.bfloat16
        path = write_wav()
        result = half(path, text="so glad", return_attention=True)
        assert scores(result["scores"]) == pytest.approx(scores(recognise(path, text="so glad")), abs=0.1)

    def test_saving(self, recognise, tmp_path, write_wav):
        recognise.save_pretrained(tmp_path)
        again = pipeline(PIPELINE_TASK, model=str(tmp_path))
        assert again.processor.label_store.labels == LABELS
        close(again(write_wav(), text="so"), recognise(write_wav(), text="so"))

    def test_store_of_other_classes(self, folder):
        processor = MerProcessor.from_pretrained(folder)
        processor.label_store = tiny_store(labels=LABELS[::-1])
        model = LeMerForEmotionClassification.from_pretrained(folder)
        with pytest.raises(ValueError, match="they do not belong together"):
            MultimodalEmotionRecognitionPipeline(model=model, processor=processor)


class TestBadInput:
    def test_arguments(self, recognise):
        with pytest.raises(TypeError, match=r"unknown argument \['topk'\]; known are top_k"):
            recognise(text="so", topk=2)
        with pytest.raises(ValueError, match="top_k=0 must be at least 1"):
            recognise(text="so", top_k=0)
        with pytest.raises(ValueError, match="text has 1 items, the inputs 2"):
            recognise([tone(), tone()], text=["so"])
        with pytest.raises(ValueError, match="text must be a list of 2"):
            recognise([tone(), tone()], text="so")
        with pytest.raises(ValueError, match="history must be a list of utterances"):
            recognise(text="so", history="who is it")

    @pytest.mark.parametrize(
        ("given", "error", "message"),
        [
            ({"top_k": 1.5}, TypeError, r"top_k=1\.5 must be a whole number of at least 1"),
            ({"top_k": True}, TypeError, "top_k=True must be a whole number"),
            ({"threshold": "0.5"}, TypeError, "threshold='0.5' must be a number, from 0 to 1"),
            ({"threshold": float("nan")}, ValueError, "threshold=nan must be from 0 to 1"),
            ({"batch_size": 0}, ValueError, "batch_size=0 must be at least 1"),
            ({"batch_size": 2.0}, TypeError, r"batch_size=2\.0 must be a whole number"),
            ({"num_workers": -1}, ValueError, "num_workers=-1 must be at least 0"),
            ({"sampling_rate": "16000"}, TypeError, "sampling_rate='16000' must be a number, from 1000 to 768000"),
            ({"sampling_rate": 0}, ValueError, "sampling_rate=0 must be from 1000 to 768000"),
            ({"window_seconds": "2"}, TypeError, "window_seconds='2' must be a number"),
            ({"window_seconds": 2.0, "hop_seconds": float("inf")}, ValueError, "hop_seconds=inf must be"),
            ({"return_attention": "no"}, TypeError, "return_attention='no' must be True or False"),
            ({"merge_overlaps": 1}, TypeError, "merge_overlaps=1 must be True or False"),
            ({"progress": "yes"}, TypeError, "progress='yes' must be True or False"),
            ({"dialogue": "yes"}, TypeError, "dialogue='yes' must be True or False"),
        ],
    )
    def test_kinds_and_ranges_are_checked_before_any_work(self, recognise, monkeypatch, given, error, message):
        monkeypatch.setattr(type(recognise), "preprocess", lambda *_: pytest.fail("work has begun"))
        with pytest.raises(error, match=message):
            recognise([tone(), tone()], **given)
        made = {name: value for name, value in given.items() if name != "dialogue"}
        if made:
            with pytest.raises(error, match=message):
                pipeline(PIPELINE_TASK, model=recognise.model, processor=recognise.processor, **made)

    def test_histories(self, recognise, expected):
        close(recognise(text="so", history=[float("nan")]), expected(text="so"))
        result = recognise({"audio": tone(), "history": [float("nan")], "text": None}, window_seconds=0.3)
        assert result["timeline"]
        for history, message in (([3], "its turn 1 is a int"), (3, "got a int"), ({"a": 1}, "got a dict")):
            for asked in ({}, {"window_seconds": 0.3}):
                with pytest.raises(ValueError, match=f"history must be a list of utterances.*{message}"):
                    recognise({"audio": tone(), "history": history}, **asked)

    @pytest.mark.parametrize("asked", [{}, {"batch_size": 2, "num_workers": 1}, {"window_seconds": 0.3}])
    def test_one_of_many_is_named(self, recognise, write_wav, asked):
        good, gone = write_wav(), "gone.wav"
        with pytest.raises(AudioError, match=r"item 2 \(the first is 0\): gone\.wav: no such audio file"):
            recognise([good, good, gone], **asked)
        with pytest.raises(ValueError, match=r"item 1 \(the first is 0\): gone\.wav: no such"):
            list(recognise((one for one in (good, gone)), **asked))
        with pytest.raises(ValueError, match=r"item 1 \(the first is 0\), .*speech\.wav: history must be a list"):
            recognise([good, {"audio": good, "history": "yes"}], **asked)
        rows = datasets.Dataset.from_list([{"audio": good}, {"audio": gone}])
        with pytest.raises(ValueError, match=r"row 1 \(the first is 0\): gone\.wav: no such audio file"):
            list(recognise(rows, **asked))
        with pytest.raises(AudioError, match=r"gone\.wav: no such audio file") as caught:
            recognise([gone], **asked)
        assert "the first is 0" not in str(caught.value)

    def test_one_without_words_is_named(self, tiny_checkpoint, write_wav):
        folder, _ = tiny_checkpoint(modalities=["text"])
        recognise = pipeline(PIPELINE_TASK, model=folder, asr=lambda *_: "")
        with pytest.raises(ValueError, match=r"item 0 \(the first is 0\), .*\.wav: no words were recognised"):
            recognise([write_wav(), {"text": "so"}])

    def test_audio(self, recognise, tmp_path):
        with pytest.raises(AudioError, match=r"gone\.wav: no such audio file"):
            recognise(str(tmp_path / "gone.wav"))
        with pytest.raises(AudioError, match="too short"):
            recognise(np.zeros(100, dtype=np.float32))

    def test_nothing_to_use(self, recognise):
        for item in ({"text": ""}, {"text": " "}, {"history": [""]}, {"audio": None, "text": None}, None):
            with pytest.raises(ValueError, match="nothing that this model can use"):
                recognise(item)


class TestFilms:
    @pytest.fixture(scope="class")
    def films(self, tmp_path_factory):
        return pipeline(PIPELINE_TASK, model=save_film_checkpoint(tmp_path_factory.mktemp("films") / "checkpoint"))

    @pytest.fixture
    def by_hand(self, films):
        def run(**inputs):
            with torch.no_grad():
                logits = films.model(**films.processor(**inputs)).logits[0]
            pairs = zip(LABELS, logits.softmax(-1).tolist(), strict=True)
            return [{"label": label, "score": score} for label, score in pairs]

        return run

    def test_one_film_is_enough(self, films, by_hand, write_video):
        path = write_video()
        both = by_hand(audio=path, video=path)
        content = Path(path).read_bytes()
        row = {"path": path, "start": None, "end": None, "side": None}
        for source in (path, content, {"path": path, "bytes": None}, {"video": path}, {"audio": path}, {"video": row},
                       {"video": content}, {"audio": path, "video": path}):  # fmt: skip
            close(films(source), both)
        close(films(path, text="so glad"), by_hand(audio=path, video=path, text="so glad"))
        assert abs(scores(both)["sad"] - scores(by_hand(audio=path))["sad"]) > 1e-4

    def test_none_means_without(self, films, by_hand, write_video):
        path = write_video()
        close(films({"audio": path, "video": None}), by_hand(audio=path))
        close(films({"audio": None, "video": path}), by_hand(video=path))

    def test_sound_and_picture_of_two_files(self, films, by_hand, write_video, write_wav):
        film, sound = write_video(), write_wav()
        close(films({"audio": sound, "video": film}), by_hand(audio=sound, video=film))

    def test_a_span_is_of_both(self, films, by_hand, write_video):
        row = {"path": write_video(split=True), "start": 0.4, "end": 0.9, "side": "left"}
        close(films({"video": row}), by_hand(audio=row, video=row))

    def test_a_recording_has_no_picture_and_arrays_are_sound(self, films, by_hand, write_wav, caplog):
        path = write_wav()
        for source, sound in ((path, path), ({"audio": path}, path), (tone(), tone())):
            close(films(source), by_hand(audio=sound))
        assert not caplog.text
        close(films({"video": path}), by_hand(audio=path))
        assert f"{path}: has no picture; only the other inputs are used" in caplog.text

    def test_a_film_without_sound(self, films, recognise, by_hand, write_video, expected, caplog):
        path = write_video("mute.mp4", sound=False)
        close(films(path), by_hand(video=path))
        close(films(path, text="so glad"), by_hand(video=path, text="so glad"))
        assert f"{path}: has no sound; only the other inputs are used" in caplog.text
        close(recognise(path, text="so glad"), expected(text="so glad"))  # a model without video
        with pytest.raises(AudioError, match=r"mute.mp4: has no audio stream \(picture only\)"):
            recognise(path)

    def test_models_without_video_take_the_sound_of_films(self, recognise, expected, write_video):
        path = write_video()
        close(recognise(path), expected(audio=path))
        close(recognise({"video": path}), expected(audio=path))

    def test_models_of_video_alone(self, tmp_path, write_video, write_wav):
        recognise = pipeline(PIPELINE_TASK, model=save_film_checkpoint(tmp_path / "v", modalities=["video"]))
        path = write_video()
        assert sum(scores(recognise(path)).values()) == pytest.approx(1, abs=1e-5)
        close(recognise({"video": path, "text": "so"}), recognise(path))
        with pytest.raises(VideoError, match="has no video stream"):
            recognise({"video": write_wav()})
        with pytest.raises(ValueError, match="nothing that this model can use; it needs video"):
            recognise(write_wav())

    @pytest.mark.parametrize("batch_size", [1, 3])
    def test_batches_change_nothing(self, films, write_video, write_wav, batch_size):
        items = [
            write_video("a.mp4"),
            {"video": write_video("b.mp4", seconds=0.12), "text": "so glad"},
            {"text": "awful day"},
            write_wav(),
            {"video": write_video("c.mp4", sound=False), "text": "yes"},
        ]
        for given, item in zip(films(items, batch_size=batch_size), items, strict=True):
            close(given, films(item))

    def test_rows_of_a_dataset(self, films, by_hand, write_video):
        from hf_mer.data.schema import make_record, records_to_dataset

        path = write_video()
        records = [make_record(id="a", audio=path, video=path, label=0), make_record(id="b", audio=path, label=0)]
        rows = list(films(records_to_dataset(records, LABELS)))
        close(rows[0], by_hand(audio=path, video=path))
        close(rows[1], by_hand(audio=path))

    def test_attention_of_a_model_that_has_none(self, films, write_video):
        result = films(write_video(), text="so glad", return_attention=True)
        assert set(result) == {"scores", "words", "frames", "keywords"}
        assert len(result["scores"]) == 4

    def test_saving(self, films, tmp_path, write_video):
        films.save_pretrained(tmp_path)
        path = write_video()
        close(pipeline(PIPELINE_TASK, model=str(tmp_path))(path), films(path))

    def test_a_processor_without_an_image_processor(self, films, write_video):
        films.processor.image_processor, kept = None, films.processor.image_processor
        try:
            with pytest.raises(ValueError, match="has no image_processor, which video needs"):
                films(write_video())
        finally:
            films.processor.image_processor = kept
