import json
from collections import deque

import numpy as np
import pandas
import pytest
import torch
from media_files import image_processor
from model_tester import (
    SPEECH_TYPES,
    feature_extractor_for,
    make_batch,
    mel_feature_extractor,
    tiny_byte_tokenizer,
    tiny_settings,
    tiny_store,
    tiny_tokenizer,
    tone,
    wave_feature_extractor,
)
from transformers import AutoProcessor, DataCollatorWithPadding

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MerProcessor
from hf_mer.models.audio_mer import AudioError
from hf_mer.models.notes_mer import collected_notes
from hf_mer.models.video_mer import VideoError


@pytest.fixture
def processor():
    return MerProcessor(wave_feature_extractor(), tiny_tokenizer(), max_text_tokens=12)


def tokens_of(processor, batch, row=0):
    ids, mask = batch["input_ids"][row], batch["attention_mask"][row].bool()
    return processor.tokenizer.convert_ids_to_tokens(ids[mask].tolist())


class TestHistory:
    def test_spliced_before_the_current_utterance(self, processor):
        batch = processor(text="so glad", history=["who is it ?", "yes"])
        assert tokens_of(processor, batch) == ["[CLS]", "who", "is", "it", "?", "yes", "[SEP]", "so", "glad", "[SEP]"]
        assert batch["token_type_ids"].tolist() == [[0] * 7 + [1] * 3]

    def test_without_history(self, processor):
        for history in (None, [], [""]):
            batch = processor(text="so glad", history=history)
            assert tokens_of(processor, batch) == ["[CLS]", "so", "glad", "[SEP]"]
            assert not batch["token_type_ids"].any()

    @pytest.mark.parametrize(
        ("current", "kept"),
        [
            ("i", "yes no it awful what a day ."),  # 12 tokens: 3 special ones, 1 current, 8 of history
            ("i am so", "it awful what a day ."),
            ("i am so glad you came who is", "."),
        ],
    )
    def test_the_oldest_tokens_are_dropped_first(self, processor, current, kept):
        batch = processor(text=current, history=["lovely report yes no it", "awful", "what a day ."])
        assert tokens_of(processor, batch) == ["[CLS]", *kept.split(), "[SEP]", *current.split(), "[SEP]"]
        assert batch["input_ids"].shape[1] == 12

    @pytest.mark.parametrize("current", ["i am so glad you came who is it", "i am so glad you came who is it the"])
    def test_the_current_utterance_is_never_cut_for_history(self, processor, current):
        batch = processor(text=current, history=["yes"])
        assert tokens_of(processor, batch) == ["[CLS]", *current.split(), "[SEP]"]

    def test_an_utterance_that_alone_is_too_long_is_cut_at_its_end(self, processor):
        batch = processor(text="i am so glad you came who is it the report awful lovely", history=["yes"])
        assert tokens_of(processor, batch) == [
            "[CLS]",
            "i",
            "am",
            "so",
            "glad",
            "you",
            "came",
            "who",
            "is",
            "it",
            "the",
            "[SEP]",
        ]

    def test_too_long_with_byte_level_tokens(self):
        processor = MerProcessor(wave_feature_extractor(), tiny_byte_tokenizer(), max_text_tokens=10)
        for text in ("glad glad glad", "ágg lg ggl gl", "gl" * 30):
            for history in (None, ["who is it"]):
                batch = processor(text=text, history=history)
                assert batch["input_ids"].shape[1] <= 10
                ids = batch["input_ids"][0].tolist()
                assert ids[0] == processor.tokenizer.cls_token_id
                assert ids[-1] == processor.tokenizer.sep_token_id

    def test_latest_turns_up_to_the_limit(self):
        turns = ["yes", "no", "so", "it"]
        for limit, kept in ((0, None), (2, "so it"), (4, "yes no so it"), (10, "yes no so it")):
            processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer(), max_history=limit)
            expected = ["[CLS]", *([*kept.split(), "[SEP]"] if kept else []), "glad", "[SEP]"]
            assert tokens_of(processor, processor(text="glad", history=turns)) == expected

    def test_history_alone_is_text(self, processor):
        batch = processor(audio=tone(), history=["who is it"])
        assert tokens_of(processor, batch) == ["[CLS]", "who", "is", "it", "[SEP]"]

    def test_tokenizer_is_left_as_it_was(self, processor):
        before = processor.tokenizer.truncation_side
        processor(text="glad", history=["yes no " * 20])
        assert processor.tokenizer.truncation_side == before
        assert len(processor.tokenizer("yes " * 40)["input_ids"]) == 42

    def test_roberta_marks_the_current_utterance(self):
        processor = MerProcessor(wave_feature_extractor(), tiny_byte_tokenizer())
        batch = processor(text="gl", history=["g"])
        assert tokens_of(processor, batch) == ["<s>", "g", "</s>", "</s>", "g", "l", "</s>"]
        assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 1]]


class TestInputs:
    def test_single_and_list(self, processor):
        single = processor(audio=tone(), text="so glad", history=["yes"])
        listed = processor(audio=[tone()], text=["so glad"], history=[["yes"]])
        assert set(single) == {"input_ids", "attention_mask", "token_type_ids", "input_values", "audio_attention_mask"}
        assert single["input_values"].shape == (1, 6400)
        for name in single:
            assert torch.equal(single[name], listed[name])

    def test_batch_is_padded_on_the_right(self, processor):
        batch = processor(audio=[tone(0.1), tone(0.2)], text=["glad", "i am so glad"])
        assert batch["attention_mask"].tolist() == [[1, 1, 1, 0, 0, 0], [1] * 6]
        assert tokens_of(processor, batch) == ["[CLS]", "glad", "[SEP]"]
        assert set(batch["input_ids"][0, 3:].tolist()) == {processor.tokenizer.pad_token_id}
        assert batch["audio_attention_mask"].sum(dim=1).tolist() == [1600, 3200]
        assert not batch["input_values"][0, 1600:].any()
        assert batch["input_values"][0, :1600].mean() == pytest.approx(0, abs=1e-4)
        assert batch["input_values"][0, :1600].std() == pytest.approx(1, abs=1e-2)
        assert batch["audio_attention_mask"].dtype == torch.long

    def test_missing_modalities(self, processor):
        batch = processor(audio=[tone(), None, tone()], text=[None, "glad", "  "])
        assert batch["audio_attention_mask"].any(dim=1).tolist() == [True, False, True]
        assert batch["attention_mask"].any(dim=1).tolist() == [False, True, False]
        assert "input_ids" not in processor(audio=[tone(), tone()])
        assert "input_values" not in processor(text=["glad", "so"])

    def test_nothing(self, processor):
        with pytest.raises(ValueError, match="item 1 of the batch has neither audio nor text"):
            processor(audio=[tone(), None], text=["glad", ""], history=[None, [""]])
        with pytest.raises(ValueError, match="item 0 of the batch has neither"):
            processor()
        with pytest.raises(ValueError, match="nothing to process"):
            processor(audio=[])

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"audio": ["a", "b"], "text": ["x"]}, r"text must be a list of 2 items like the others, got 1 items"),
            ({"audio": ["a", "b"], "text": "x"}, r"text must be a list of 2 items like the others, got a str"),
            ({"text": ["x", "y"], "history": [["a"]]}, r"history must be a list of 2 items"),
            ({"text": "x", "history": "who is it"}, r"history must be a list of utterances, got a str"),
            ({"text": ["x"], "history": ["who is it"]}, r"history must be a list of utterances, got a str"),
        ],
    )
    def test_lists_that_do_not_fit(self, processor, kwargs, message):
        with pytest.raises(ValueError, match=message):
            processor(**kwargs)

    def test_a_single_item_beside_lists_of_one(self, processor):
        expected = processor(audio=tone(), text="so glad", history=["yes"])
        for given in (
            {"audio": [tone()], "text": "so glad", "history": ["yes"]},
            {"audio": [tone()], "text": "so glad", "history": [["yes"]]},
            {"audio": tone(), "text": ["so glad"], "history": ["yes"]},
        ):
            batch = processor(**given)
            assert all(torch.equal(batch[name], expected[name]) for name in expected)

    def test_lists_in_other_forms(self, processor):
        expected = processor(text=["so glad", "yes"])["input_ids"]
        for form in (tuple, deque, np.array, pandas.Series, lambda texts: dict(enumerate(texts)).values()):
            assert torch.equal(processor(text=form(["so glad", "yes"]))["input_ids"], expected)
        with pytest.raises(ValueError, match="a set has no order"):
            processor(text={"so glad", "yes"})

    def test_paths_rates_and_numpy(self, processor, write_wav):
        path = write_wav(rate=8000)
        from_path = processor(audio=path)["input_values"]
        from_array = processor(audio=tone(rate=8000), sampling_rate=8000, return_tensors="np")["input_values"]
        assert isinstance(from_array, np.ndarray)
        np.testing.assert_allclose(from_path.numpy(), from_array, atol=1e-3)

    def test_a_list_of_numbers_is_one_recording(self, processor):
        assert processor(audio=list(tone(0.1)))["input_values"].shape == (1, 1600)
        assert processor(audio=tone(0.1).tolist())["input_values"].shape == (1, 1600)

    def test_too_short_and_too_long(self, processor, write_wav):
        with pytest.raises(
            AudioError, match=r"blip\.wav: 0\.020 s of audio is too short for a frame; at least 0\.05 s"
        ):
            processor(audio=write_wav("blip.wav", seconds=0.02))
        with pytest.raises(AudioError, match="too short"):
            processor(audio=tone(0.02))
        processor.max_audio_seconds = 0.3
        assert processor(audio=tone(0.4))["input_values"].shape == (1, 4800)

    def test_silence_stays_finite(self, processor):
        assert processor(audio=np.zeros(1600))["input_values"].isfinite().all()
        mel = MerProcessor(mel_feature_extractor(), tiny_tokenizer())
        assert mel(audio=np.zeros(1600))["input_features"].isfinite().all()

    def test_settings_are_checked(self):
        with pytest.raises(ValueError, match="max_text_tokens=3"):
            MerProcessor(wave_feature_extractor(), tiny_tokenizer(), max_text_tokens=3)
        slow = type("SlowTokenizer", (), {"is_fast": False})()
        with pytest.raises(ValueError, match="SlowTokenizer is not a fast tokenizer"):
            MerProcessor(wave_feature_extractor(), slow)


class TestLengths:
    def test_every_batch_of_one_shape(self, processor):
        settings = {
            "text_kwargs": {"padding": "max_length", "max_length": 10},
            "audio_kwargs": {"padding": "max_length", "max_length": 2000},
        }
        for audio, text in (
            ([tone(0.1), None], ["so glad", "i am so glad you came who is it ? yes no"]),
            ([tone(0.125), tone(0.06)], ["yes", None]),
        ):
            batch = processor(audio=audio, text=text, **settings)
            assert (
                batch["input_ids"].shape == batch["token_type_ids"].shape == batch["attention_mask"].shape == (2, 10)
            )
            assert batch["input_values"].shape == batch["audio_attention_mask"].shape == (2, 2000)
        plain = processor(audio=[tone(0.125), tone(0.06)], text=["yes", None])
        for name in plain:
            width = plain[name].shape[1]
            assert torch.equal(batch[name][:, :width], plain[name])
            assert (batch[name][:, width:] == (processor.tokenizer.pad_token_id if name == "input_ids" else 0)).all()

    def test_scores_do_not_depend_on_it(self, tiny_checkpoint):
        folder, model = tiny_checkpoint()
        processor, given = MerProcessor.from_pretrained(folder), {"audio": tone(0.1), "text": "so glad"}
        padded = processor(**given, text_kwargs={"pad_to_multiple_of": 16}, audio_kwargs={"pad_to_multiple_of": 999})
        assert padded["input_ids"].shape == (1, 16)
        assert padded["input_values"].shape == (1, 1998)
        torch.testing.assert_close(model(**padded).logits, model(**processor(**given)).logits)

    def test_lengths_alone_are_of_texts(self, processor):
        batch = processor(audio=tone(0.1), text="so glad", padding="max_length", max_length=9)
        assert batch["input_ids"].shape == (1, 9)
        assert batch["input_values"].shape == (1, 1600)
        assert processor(text="so glad", padding="max_length")["input_ids"].shape == (1, 12)  # max_text_tokens
        with pytest.raises(ValueError, match="max_length counts tokens, and there is no text: use audio_kwargs"):
            processor(audio=tone(0.1), padding="max_length", max_length=2000)

    def test_text_is_cut_and_never_beyond_max_text_tokens(self, processor):
        with collected_notes() as notes:
            batch = processor(text="i am so glad you came who is it", history=["yes"], max_length=8)
        assert tokens_of(processor, batch) == ["[CLS]", "i", "am", "so", "glad", "you", "came", "[SEP]"]
        assert "its first 6 of 9 tokens are read (max_length=8 " in notes[0]
        longer = processor(text="yes " * 20, padding="max_length", max_length=20)
        assert longer["attention_mask"].sum() == 12
        assert longer["input_ids"].shape == (1, 20)

    @pytest.mark.parametrize(
        ("extractor", "name", "length"),
        [(wave_feature_extractor, "input_values", 1601), (mel_feature_extractor, "input_features", 7)],
    )
    def test_audio_is_cut_only_on_demand(self, extractor, name, length):
        processor = MerProcessor(extractor(), tiny_tokenizer())
        fixed = {"padding": "max_length", "max_length": length}
        unit = "samples" if name == "input_values" else "frames"
        with pytest.raises(
            ValueError, match=rf"audio of item 1 has \d+ {unit}, more than max_length={length}: set aud"
        ):
            processor(audio=[tone(0.06), tone(0.5)], audio_kwargs=fixed)
        with collected_notes() as notes:
            batch = processor(audio=[tone(0.06), tone(0.5)], audio_kwargs={**fixed, "truncation": True})
        assert "heard the first" in notes[0]
        assert batch[name].shape[:2] == (2, length)
        assert batch["audio_attention_mask"][1].all()

    def test_clips(self, write_video):
        settings = {"image_processor": image_processor(), "num_frames": 4}
        processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer(), **settings)
        path = write_video("b.mp4", seconds=0.08)
        batch = processor(video=path, videos_kwargs={"padding": "max_length"})
        assert batch["video_attention_mask"].tolist() == [[1, 1, 0, 0]]
        assert batch["pixel_values"].shape == (1, 4, 3, 16, 16)

    @pytest.mark.parametrize(
        ("kwargs", "error", "message"),
        [
            ({"padding": "longset"}, ValueError, "text: padding='longset' must be one of .*'max_length'"),
            ({"max_length": 9.5}, TypeError, r"text: max_length=9\.5 must be a whole number of tokens"),
            ({"max_length": 3}, ValueError, "text: max_length=3 must be at least 8 tokens"),
            ({"pad_to_multiple_of": 0}, ValueError, "pad_to_multiple_of=0 must be at least 1"),
            ({"truncation": False}, ValueError, "truncation=False, but text is always cut"),
            ({"padding": False}, ValueError, "text: padding is off, but the items have 3 to 4 tokens"),
            ({"audio_kwargs": {"padding": "max_length"}}, ValueError, "audio: padding='max_length' needs max_length"),
            ({"audio_kwargs": {"truncation": True}}, ValueError, "truncation=True needs max_length, in samples"),
            ({"max_lenght": 9}, TypeError, "unknown keyword 'max_lenght'; known are max_length"),
            (
                {"text_kwargs": {"stride": 2}},
                TypeError,
                "text_kwargs has the unknown key 'stride'; known are max_length",
            ),
            ({"text_kwargs": 9}, TypeError, "text_kwargs=9 must be a dictionary"),
            ({"max_length": 9, "text_kwargs": {"max_length": 8}}, ValueError, "max_length is given twice: as 9 and"),
            ({"return_tensors": "tf"}, ValueError, "return_tensors='tf' must be one of 'pt' and 'np'"),
        ],
    )
    def test_refusals(self, processor, kwargs, error, message):
        with pytest.raises(error, match=message):
            processor(text=["yes", "so glad"], **kwargs)


class TestPadding:
    @pytest.fixture
    def rows(self, processor):
        given = [
            {"audio": tone(0.1), "text": "so glad"},
            {"text": "yes"},
            {"audio": tone(0.2), "text": "i am so glad"},
        ]
        made = [processor(**one) for one in given]
        return [{name: one[name][0].tolist() for name in one} | {"label": i} for i, one in enumerate(made)]

    def test_collator_of_transformers(self, processor, rows):
        expected = processor(audio=[tone(0.1), None, tone(0.2)], text=["so glad", "yes", "i am so glad"])
        batch = DataCollatorWithPadding(processor)(rows)
        assert batch.pop("labels").tolist() == [0, 1, 2]
        assert set(batch) == set(expected)
        for name in expected:
            torch.testing.assert_close(batch[name], expected[name])
        fixed = DataCollatorWithPadding(processor, padding="max_length", max_length=9, pad_to_multiple_of=4)(rows)
        assert fixed["input_ids"].shape == (3, 12)
        heard = DataCollatorWithPadding(processor)([{"input_values": [0.1, 0.2]}, {"input_values": [0.3]}])
        assert heard["audio_attention_mask"].tolist() == [[1, 1], [1, 0]]
        assert isinstance(DataCollatorWithPadding(processor, return_tensors="np")(rows)["input_ids"], np.ndarray)

    def test_padding_of_before_and_the_axis_of_a_batch_of_one(self, processor, rows):
        batch = processor(audio=[tone(0.1), tone(0.2)], text=["so glad", "i am so glad"])
        once = [{name: batch[name][row] for name in batch} for row in range(2)]
        singles = [processor(audio=tone(0.1), text="so glad"), processor(audio=tone(0.2), text="i am so glad")]
        for given in (once, singles, {name: list(batch[name]) for name in batch}):
            padded = processor.pad(given)
            for name in batch:
                torch.testing.assert_close(padded[name], batch[name])

    def test_log_mel_frames(self):
        processor = MerProcessor(mel_feature_extractor(), tiny_tokenizer())
        singles = [processor(audio=tone(0.1)), processor(audio=tone(0.3))]
        expected = processor(audio=[tone(0.1), tone(0.3)])
        for given in (singles, [{name: one[name][0] for name in one} for one in singles]):
            for name, array in processor.pad(given).items():
                torch.testing.assert_close(array, expected[name])

    def test_refusals(self, processor, rows):
        with pytest.raises(ValueError, match=r"these have label.*TrainingArguments\(remove_unused_columns=False\)"):
            processor.pad([{"label": 0}, {"label": 1}])
        with pytest.raises(ValueError, match="these have audio, text. MerDataCollator takes rows with audio and text"):
            processor.pad([{"audio": tone(), "text": "yes"}])
        with pytest.raises(ValueError, match="item 2: attention_mask has 5 values for 6 positions"):
            processor.pad([*rows[:2], {**rows[2], "attention_mask": [1] * 5}])
        with pytest.raises(ValueError, match="audio of item 2 has 3200 samples, more than max_length=2000"):
            processor.pad(rows, audio_kwargs={"max_length": 2000})
        with pytest.raises(ValueError, match="item 1 has nothing under 'label', which cannot be stacked"):
            processor.pad([rows[0], {**rows[1], "label": None}])
        with pytest.raises(ValueError, match="item 0 has .* under 'id', which cannot be stacked: remove the column"):
            processor.pad([{**rows[0], "id": "a"}])


class TestFrames:
    @pytest.mark.parametrize("stride", [1, 2, 4])
    @pytest.mark.parametrize("seconds", [0.05, 0.1, 0.123])
    def test_log_mel_frames_do_not_depend_on_the_batch(self, stride, seconds):
        processor = MerProcessor(mel_feature_extractor(stride), tiny_tokenizer())
        alone = processor(audio=tone(seconds))
        batch = processor(audio=[tone(0.31), tone(seconds)])
        length = int(alone["audio_attention_mask"].sum())
        assert alone["input_features"].shape == (1, length, 80 * stride)
        assert batch["audio_attention_mask"][1].sum() == length
        assert torch.equal(batch["input_features"][1, :length], alone["input_features"][0])
        frames = 1 + (int(seconds * 16000) - 400) // 160
        assert length in (frames // stride, -(-frames // stride))
        assert length > 0

    @pytest.mark.parametrize("speech_type", SPEECH_TYPES)
    def test_frame_mask_and_times_are_the_models(self, speech_type):
        model = LeMerForEmotionClassification(LeMerConfig(**tiny_settings(speech_type))).eval()
        processor = MerProcessor(feature_extractor_for(speech_type), tiny_tokenizer())
        batch = processor(audio=[tone(0.2), tone(0.41)], text=["glad", "so"])
        output = model(**batch, output_attentions=True)
        seconds = 2 * 160 / 16000 if speech_type in ("wav2vec2-bert", "whisper") else 40 / 16000
        for row, length in enumerate((0.2, 0.41)):
            count = int(output.speech_mask[row].sum())
            assert count * seconds == pytest.approx(length, abs=2.5 * seconds)
            times = processor.frame_times(count, model.config.speech_config)
            assert times[0] == pytest.approx(seconds / 2)
            assert np.diff(times) == pytest.approx(seconds)
            assert times[-1] <= length + 1e-9  # the last frame of an odd number of Whisper's begins before the end

    def test_model_agrees_on_a_padded_batch(self):
        model = LeMerForEmotionClassification(LeMerConfig(**tiny_settings("wav2vec2-bert"))).eval()
        processor = MerProcessor(mel_feature_extractor(), tiny_tokenizer())
        together = model(**processor(audio=[tone(0.41), tone(0.2)], text=["so glad you came", "yes"])).logits
        alone = model(**processor(audio=tone(0.2), text="yes")).logits
        torch.testing.assert_close(together[1], alone[0], rtol=0, atol=1e-5)


class TestWords:
    def test_pieces_are_joined(self):
        processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer())
        batch = processor(text="So happy, you CAME!", history=["who is  it ?"], return_words=True)
        assert batch["words"] == [
            [
                ("who", [1], False), ("is", [2], False), ("it", [3], False), ("?", [4], False),
                ("So", [6], True), ("happy,", [7, 8, 9, 10, 11, 12], True),
                ("you", [13], True), ("CAME!", [14, 15], True),
            ]
        ]  # fmt: skip

    def test_byte_level_tokens(self):
        processor = MerProcessor(wave_feature_extractor(), tiny_byte_tokenizer())
        words = processor(text="so glad, né", history=["a gl"], return_words=True)["words"][0]
        assert [word for word, _, _ in words] == ["a", "gl", "so", "glad,", "né"]
        assert [current for *_, current in words] == [False, False, True, True, True]
        batch = processor(text="so glad, né", history=["a gl"])
        spelled = processor.tokenizer.convert_ids_to_tokens(batch["input_ids"][0].tolist())
        assert ["".join(spelled[i] for i in positions).strip("Ġ") for _, positions, _ in words] == [
            "a",
            "gl",
            "so",
            "glad,",
            "nÃ©",
        ]

    def test_rows_without_text(self):
        processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer())
        batch = processor(audio=[tone(), tone()], text=["yes", None], return_words=True)
        assert batch["words"] == [[("yes", [1], True)], []]
        assert processor(audio=[tone(), tone()], return_words=True)["words"] == [[], []]


class TestVideo:
    @pytest.fixture
    def processor(self):
        return MerProcessor(
            wave_feature_extractor(), tiny_tokenizer(), image_processor=image_processor(), num_frames=4
        )

    def test_frames_of_a_clip(self, processor, write_video):
        path = write_video()
        batch = processor(video=path, text="so glad")
        assert batch["pixel_values"].shape == (1, 4, 3, 16, 16)
        assert batch["pixel_values"].dtype == torch.float32
        assert batch["video_attention_mask"].tolist() == [[1, 1, 1, 1]]
        grey = (batch["pixel_values"].mean((0, 2, 3, 4)) + 1) * 127.5
        assert grey.tolist() == pytest.approx([20 + 5 * i for i in (5, 15, 25, 35)], abs=1.5)
        assert set(batch) <= set(processor.model_input_names)

    def test_short_clips_and_rows_without_a_picture_are_masked(self, processor, write_video):
        batch = processor(
            video=[write_video("a.mp4"), None, write_video("b.mp4", seconds=0.08)], text=["a", "b", None]
        )
        assert batch["video_attention_mask"].tolist() == [[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 0, 0]]
        assert not batch["pixel_values"][1].any()
        assert not batch["pixel_values"][2, 2:].any()
        alone = processor(video=write_video("b.mp4", seconds=0.08))
        assert torch.equal(alone["pixel_values"][0], batch["pixel_values"][2, :2])

    def test_all_of_it(self, processor, write_video):
        path = write_video()
        batch = processor(audio=path, text="so glad", history=["yes"], video=path)
        assert set(batch) == set(processor.model_input_names)
        assert set(processor(audio=tone(), text="yes")) == set(processor.model_input_names[:5])

    def test_span_and_side(self, processor, write_video):
        path = write_video(split=True)
        row = {"path": path, "start": 0.4, "end": 0.56, "side": "right"}
        grey = (processor(video=row)["pixel_values"].mean((0, 2, 3, 4)) + 1) * 127.5
        assert grey.tolist() == pytest.approx([5 + 5 * i for i in (10, 11, 12, 13)], abs=1.5)

    def test_long_clips_are_capped(self, write_video):
        kwargs = {"image_processor": image_processor(), "num_frames": 4, "max_video_seconds": 0.16}
        pixels = MerProcessor(wave_feature_extractor(), tiny_tokenizer(), **kwargs).extract_video(write_video())
        assert ((pixels.mean((1, 2, 3)) + 1) * 127.5).tolist() == pytest.approx([20, 25, 30, 35], abs=1.5)

    def test_faces(self, monkeypatch, write_video):
        monkeypatch.setattr("hf_mer.models.processing_mer.load_face_detector", lambda: None)
        monkeypatch.setattr("hf_mer.models.processing_mer.crop_faces", lambda frames: [f[:8, :8] * 0 for f in frames])
        processor = MerProcessor(
            wave_feature_extractor(), tiny_tokenizer(), image_processor=image_processor(), face_crop=True
        )
        assert (processor.extract_video(write_video()) == -1).all()

    def test_refusals(self, processor, write_video):
        with pytest.raises(VideoError, match="has no video stream"):
            processor(video=write_video(codec=None))
        with pytest.raises(ValueError, match="item 1 of the batch has neither audio nor text nor video"):
            processor(video=[write_video(), None])
        with pytest.raises(ValueError, match="video must be a list of 2 items"):
            processor(video=write_video(), text=["a", "b"])
        with pytest.raises(ValueError, match="num_frames=0"):
            MerProcessor(wave_feature_extractor(), tiny_tokenizer(), image_processor=image_processor(), num_frames=0)
        with pytest.raises(ValueError, match="has no image_processor, which video needs"):
            MerProcessor(wave_feature_extractor(), tiny_tokenizer())(video=write_video())
        pixels = [np.zeros((2, 3, 8, 8), np.float32), np.zeros((2, 3, 8, 9), np.float32)]
        with pytest.raises(
            ValueError, match=r"pixel_values of one batch differ in shape, \(3, 8, 8\) and \(3, 8, 9\)"
        ):
            processor.collate([None, None], [None, None], videos=pixels)

    def test_round_trip(self, tmp_path, write_video):
        processor = MerProcessor(
            wave_feature_extractor(),
            tiny_tokenizer(),
            label_store=tiny_store(),
            image_processor=image_processor(),
            num_frames=3,
            max_video_seconds=None,
        )
        processor.save_pretrained(tmp_path)
        again = MerProcessor.from_pretrained(tmp_path)
        assert (again.num_frames, again.max_video_seconds, again.face_crop) == (3, None, False)
        assert again.label_store.labels == processor.label_store.labels
        assert type(again.image_processor) is type(processor.image_processor)
        path = write_video()
        for name, tensor in processor(audio=path, video=path, text="glad").items():
            assert torch.equal(again(audio=path, video=path, text="glad")[name], tensor)
        assert MerProcessor.from_pretrained(tmp_path, num_frames=5).num_frames == 5

    def test_processors_without_video_say_nothing_of_it(self, tmp_path):
        processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer())
        processor.save_pretrained(tmp_path)
        settings = json.loads((tmp_path / "processor_config.json").read_text())
        assert not {"image_processor", "num_frames", "max_video_seconds", "face_crop"} & set(settings)
        assert MerProcessor.from_pretrained(tmp_path).image_processor is None


class TestSaving:
    @pytest.mark.parametrize("extractor", [wave_feature_extractor, mel_feature_extractor])
    @pytest.mark.parametrize("store", [None, tiny_store()])
    def test_round_trip(self, tmp_path, extractor, store):
        processor = MerProcessor(
            extractor(), tiny_tokenizer(), label_store=store, max_history=3, max_text_tokens=20, max_audio_seconds=5.0
        )
        processor(text="glad", history=["yes no " * 20])
        processor.save_pretrained(tmp_path)
        again = MerProcessor.from_pretrained(tmp_path)
        assert (again.max_history, again.max_text_tokens, again.max_audio_seconds) == (3, 20, 5.0)
        assert (again.label_store is None) == (store is None)
        if store is not None:
            assert again.label_store.to_dict() == store.to_dict()
            assert torch.equal(again.label_store.tonal_embeddings, store.tonal_embeddings)
            assert processor.label_store is store
        assert "label_store" not in json.loads((tmp_path / "processor_config.json").read_text())
        ours, theirs = (p(audio=tone(), text="so glad", history=["yes"]) for p in (processor, again))
        for name in ours:
            assert torch.equal(ours[name], theirs[name])

    def test_a_store_that_was_removed_does_not_come_back(self, tmp_path):
        processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer(), label_store=tiny_store())
        processor.save_pretrained(tmp_path)
        processor.label_store = None
        processor.save_pretrained(tmp_path)
        assert MerProcessor.from_pretrained(tmp_path).label_store is None

    def test_auto_processor(self, tiny_checkpoint):
        folder, _ = tiny_checkpoint()
        assert isinstance(AutoProcessor.from_pretrained(folder), MerProcessor)

    def test_inputs_are_the_models(self, tiny_checkpoint):
        folder, model = tiny_checkpoint()
        batch = MerProcessor.from_pretrained(folder)(audio=tone(), text="glad")
        assert set(batch) == set(make_batch(model.config))
        assert model(**batch).logits.shape == (1, 4)
