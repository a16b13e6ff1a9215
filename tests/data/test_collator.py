"""From rows to a batch: history, cached features, modality dropout, SpecAugment."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from media_files import image_processor
from model_tester import (
    feature_extractor_for,
    mel_feature_extractor,
    tiny_settings,
    tiny_tokenizer,
    tone,
    wave_feature_extractor,
)
from transformers import Trainer, TrainingArguments

from hf_mer.data.collator import MerDataCollator
from hf_mer.models import LeMerConfig, LeMerForEmotionClassification, MerProcessor

MASKS = {"time_masks": 2, "time_frames": 8, "frequency_masks": 1, "frequency_bins": 12}


@pytest.fixture
def processor():
    return MerProcessor(mel_feature_extractor(), tiny_tokenizer(), max_text_tokens=40)


def row(text="you came", history=("what a day",), seconds=1.0, dim=160, label=1):
    """A row with cached features; 50 frames of 20 ms a second."""
    frames = np.random.default_rng(int(seconds * 100)).normal(size=(int(50 * seconds), dim)).astype(np.float32)
    return {
        "id": "u",
        "text": text,
        "history": list(history),
        "label": label,
        "audio": {"path": "nowhere.wav"},
        "features": frames.ravel(),
        "feature_dim": dim,
    }


def decoded(processor, batch, index=0):
    return processor.tokenizer.decode(batch["input_ids"][index][batch["attention_mask"][index].bool()])


def test_history_on_and_off(processor):
    rows = [row(), row(text="yes", history=(), label=0)]
    batch = MerDataCollator(processor, ["text", "speech"])(rows)
    assert decoded(processor, batch) == "[CLS] what a day [SEP] you came [SEP]"
    assert batch["labels"].tolist() == [1, 0]
    assert batch["input_features"].shape == (2, 50, 160)
    without = MerDataCollator(processor, ["text", "speech"], use_history=False)(rows)
    assert decoded(processor, without) == "[CLS] you came [SEP]"


@pytest.mark.parametrize(("modality", "absent"), [("text", "input_features"), ("speech", "input_ids")])
def test_one_modality(processor, modality, absent):
    batch = MerDataCollator(processor, [modality])([row(), row()])
    assert absent not in batch
    assert set(batch) > {"labels"}


def test_rows_without_labels(processor):
    assert "labels" not in MerDataCollator(processor, ["text"])([row(label=None)])


@pytest.mark.parametrize("extractor", [mel_feature_extractor, wave_feature_extractor])
def test_cached_features_equal_computed_ones(extractor, write_wav):
    processor = MerProcessor(extractor(), tiny_tokenizer())
    plain = {"id": "u", "text": "yes", "history": [], "label": 0, "audio": {"path": write_wav(), "bytes": None}}
    features = processor.extract_audio(plain["audio"])
    cached = {**plain, "audio": None, "features": features.ravel(), "feature_dim": (*features.shape, 1)[1]}
    collator = MerDataCollator(processor, ["text", "speech"])
    computed, found = collator([plain]), collator([cached])
    assert computed.keys() == found.keys()
    for name in computed:
        assert torch.equal(computed[name], found[name]), name


def test_modality_dropout_rates_and_never_both(processor):
    torch.manual_seed(0)
    collator = MerDataCollator(processor, ["text", "speech"], modality_dropout=0.4, training=True)
    rows = [row(seconds=0.1, history=()) for _ in range(50)]
    no_text = no_speech = 0
    for _ in range(40):
        batch = collator(rows)
        text, speech = batch["attention_mask"].any(1), batch["audio_attention_mask"].any(1)
        assert (text | speech).all()
        no_text, no_speech = no_text + int((~text).sum()), no_speech + int((~speech).sum())
    # 2000 utterances, each modality with probability 0.2: a deviation of 18
    assert 340 < no_text < 460
    assert 340 < no_speech < 460


def test_dropout_of_everybody_leaves_each_modality_somewhere(processor):
    collator = MerDataCollator(processor, ["text", "speech"], modality_dropout=1.0, training=True)
    for _ in range(20):
        batch = collator([row(seconds=0.1) for _ in range(3)])
        text, speech = batch["attention_mask"].any(1), batch["audio_attention_mask"].any(1)
        assert text.any()
        assert speech.any()
        assert (text | speech).all()


@pytest.mark.parametrize("size", [1, 2])
def test_dropout_in_small_batches_of_one_process(processor, size):
    torch.manual_seed(0)
    settings = {"modality_dropout": 0.5, "training": True, "every_modality": False}
    collator = MerDataCollator(processor, ["text", "speech"], **settings)
    dropped = 0
    for _ in range(400 // size):
        batch = collator([row(seconds=0.1) for _ in range(size)])
        masks = [batch[name].any(1) for name in ("attention_mask", "audio_attention_mask") if name in batch]
        dropped += 2 * size - sum(int(mask.sum()) for mask in masks)
    assert 160 < dropped < 240


def test_dropout_spares_rows_that_have_one_modality_only(processor):
    collator = MerDataCollator(processor, ["text", "speech"], modality_dropout=1.0, training=True)
    deaf = {**row(), "features": None, "audio": None}
    mute = row(text=None, history=())
    for _ in range(10):
        batch = collator([deaf, mute, row(), row()])
        assert batch["attention_mask"][0].any()
        assert batch["audio_attention_mask"][1].any()


def test_no_dropout_outside_training(processor):
    collator = MerDataCollator(processor, ["text", "speech"], modality_dropout=1.0, spec_augment=MASKS)
    plain = MerDataCollator(processor, ["text", "speech"])
    one, two = collator([row(), row()]), plain([row(), row()])
    for name in two:
        assert torch.equal(one[name], two[name]), name


def test_spec_augment_masks_bins_and_frames_and_keeps_the_shape(processor):
    plain = MerDataCollator(processor, ["speech"])([row(seconds=2.0)])["input_features"][0]
    collator = MerDataCollator(processor, ["speech"], spec_augment=MASKS, training=True)
    changed = set()
    for _ in range(10):
        frames = collator([row(seconds=2.0)])["input_features"][0]
        assert frames.shape == plain.shape
        masked = (frames == 0).reshape(200, 80)  # 10 ms frames, mel bins
        assert torch.equal(frames[frames != 0], plain[frames != 0])
        whole_bins, whole_frames = masked.all(0), masked.all(1)
        assert torch.equal(masked, whole_bins[None] | whole_frames[:, None])  # nothing but stripes
        assert whole_bins.sum() < 12
        assert whole_frames.sum() < 2 * 8
        changed.add(int(masked.sum()))
    assert len(changed) > 5


def test_spec_augment_of_whispers_frames():
    """Which have another mean than 0, that masks put in their place; stretched they still fit the positions."""
    processor = MerProcessor(feature_extractor_for("whisper"), tiny_tokenizer(), max_audio_seconds=2.0)
    given = {"text": None, "history": [], "label": 0, "audio": {"array": tone(2.0), "sampling_rate": 16000}}
    plain = MerDataCollator(processor, ["speech"])([given])["input_features"][0]  # (80, 200)
    collator = MerDataCollator(processor, ["speech"], spec_augment=MASKS, training=True)
    for _ in range(5):
        frames = collator([given])["input_features"][0]
        masked = frames != plain
        assert masked.any()
        torch.testing.assert_close(frames[masked], plain.mean().expand(int(masked.sum())))
        assert torch.equal(masked, masked.all(1)[:, None] | masked.all(0)[None])  # bins, frames
    longer = MerDataCollator(processor, ["speech"], spec_augment={"stretch": 0.5}, training=True)
    widths = {longer([given])["input_features"].shape[2] for _ in range(10)}
    assert max(widths) == 200
    assert min(widths) < 200


def test_spec_augment_does_not_touch_samples_or_the_cache():
    processor = MerProcessor(wave_feature_extractor(), tiny_tokenizer())
    samples = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    cached = {"text": None, "history": [], "label": 0, "audio": None, "features": samples, "feature_dim": 1}
    batch = MerDataCollator(processor, ["speech"], spec_augment=MASKS, training=True)([cached])
    np.testing.assert_array_equal(batch["input_values"][0].numpy(), samples)
    mel = row()
    before = mel["features"].copy()
    MerDataCollator(
        MerProcessor(mel_feature_extractor(), tiny_tokenizer()), ["speech"], spec_augment=MASKS, training=True
    )([mel])
    np.testing.assert_array_equal(mel["features"], before)


def test_modality_dropout_out_of_range(processor):
    with pytest.raises(ValueError, match=r"modality_dropout=1\.5 must be between 0 and 1"):
        MerDataCollator(processor, ["text"], modality_dropout=1.5)


class TestVideo:
    @pytest.fixture
    def processor(self):
        return MerProcessor(
            mel_feature_extractor(), tiny_tokenizer(), image_processor=image_processor(8), num_frames=3
        )

    @pytest.fixture
    def rows(self, write_video):
        video = {"path": write_video(), "start": None, "end": None, "side": None}
        return [{**row(seconds=0.1), "video": one} for one in (video, {**video, "end": 0.08}, None)]

    def test_frames_of_the_rows(self, processor, rows):
        batch = MerDataCollator(processor, ["text", "speech", "video"])(rows)
        assert batch["pixel_values"].shape == (3, 3, 3, 8, 8)
        assert batch["video_attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0], [0, 0, 0]]
        assert torch.equal(batch["pixel_values"][0], torch.from_numpy(processor.extract_video(rows[0]["video"])))
        alone = MerDataCollator(processor, ["video"])(rows)
        assert set(alone) == {"pixel_values", "video_attention_mask", "labels"}
        assert "pixel_values" not in MerDataCollator(processor, ["text", "speech"])(rows)
        assert "pixel_values" not in MerDataCollator(processor, ["text", "video"])(rows[2:])

    def test_cached_frames_equal_read_ones(self, processor, rows):
        frames = [None if row["video"] is None else processor.read_video(row["video"]) for row in rows]
        cached = [
            {**row, "video": None, "frames": [] if one is None else one.ravel(), "frames_shape": np.shape(one)}
            for row, one in zip(rows, frames, strict=True)
        ]
        read, found = (MerDataCollator(processor, ["video"])(some) for some in (rows, cached))
        assert read.keys() == found.keys()
        assert all(torch.equal(read[name], found[name]) for name in read)

    def test_dropout_of_three(self, processor):
        """Each modality is lost as often, at most one by an utterance, and never what it alone has."""
        items = {
            "text": [("yes", [])] * 60 + [None] * 2,
            "speech": [np.zeros((4, 160), np.float32)] * 60 + [None, np.zeros((4, 160), np.float32)],
            "video": [np.zeros((1, 3, 8, 8), np.float32)] * 60 + [np.zeros((1, 3, 8, 8), np.float32), None],
        }
        collator = MerDataCollator(processor, list(items), modality_dropout=0.6, training=True)
        lost = dict.fromkeys(items, 0)
        for _ in range(30):
            left = {name: list(values) for name, values in items.items()}
            collator._drop_modalities(left)
            having = [sum(left[name][index] is not None for name in left) for index in range(62)]
            assert min(having[:60]) == 2
            assert having[60:] == [1, 1]
            for name in left:
                lost[name] += sum(value is None for value in left[name][:60])
        # 1800 utterances, each modality with probability 0.2: a deviation of 17
        assert all(300 < count < 420 for count in lost.values())


@pytest.mark.parametrize(
    ("columns", "modality", "message"),
    [
        ({"transcript": "Hi"}, "text", r"no column for text.*text or history or text_states.*label, transcript.*rename_column\('transcript', 'text'\)"),
        ({"sentence": "Hi"}, "text", r"rename_column\('sentence', 'text'\)"),
        ({"path": "a.wav"}, "speech", r"audio or features or speech_states.*rename_column\('path', 'audio'\)"),
        ({"speech": [0.0]}, "speech", r"rename_column\('speech', 'audio'\)"),
        ({"clip": "a.mp4"}, "video", r"rename_column\('clip', 'video'\)"),
        ({"number": 1}, "text", "Rename its column to text"),
        ({}, "text", r"remove_unused_columns=False"),
    ],
)  # fmt: skip
def test_rows_without_any_column_of_a_modality(processor, columns, modality, message):
    rows = [{**columns, "label": 0}] * 2
    with pytest.raises(ValueError, match=message):
        MerDataCollator(processor, [modality])(rows)


def test_a_row_without_a_value_lacks_the_modality(processor):
    rows = [
        row(),
        {**row(), "text": None, "history": []},
        {"features": None, "audio": None, "text": "yes", "label": 0},
    ]
    batch = MerDataCollator(processor, ["text", "speech"])(rows)
    assert batch["attention_mask"].any(1).tolist() == [True, False, True]
    assert batch["audio_attention_mask"].any(1).tolist() == [True, True, False]
    rows = [{"history": ["so"], "label": 0}]
    assert "input_ids" in MerDataCollator(processor, ["text"])(rows)
    with pytest.raises(ValueError, match="no column for text"):
        MerDataCollator(processor, ["text"], use_history=False)(rows)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 0], [1, 0]),
        ([None, 1], [-100, 1]),
        ([np.int64(2), torch.tensor(1)], [2, 1]),
        ([[0.25, 0.75], [1, 0]], [[0.25, 0.75], [1, 0]]),
        ([None, [0, 1]], [[-100, -100], [0, 1]]),
    ],
)
def test_labels_of_every_kind(processor, labels, expected):
    for name in ("label", "labels"):
        found = MerDataCollator(processor, ["text"])([{"text": "yes", name: label} for label in labels])["labels"]
        assert found.tolist() == expected
        assert found.dtype == (torch.float32 if 0.25 in np.ravel(expected) else torch.int64)


VOTES = [0.25, 0.75, 0.0]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{"label": 1, "votes": VOTES}, {"label": 0, "votes": None}], [VOTES, [1, 0, 0]]),
        ([{"label": torch.tensor(2)}, {"label": 1, "votes": VOTES}], [[0, 0, 1], VOTES]),
        ([{"label": None, "votes": None}, {"label": 1, "votes": VOTES}], [[-100] * 3, VOTES]),
        ([{"label": -100, "votes": None}, {"label": 1, "votes": VOTES}], [[-100] * 3, VOTES]),
        ([{"label": 1, "votes": None}, {"label": 0}], [1, 0]),
    ],
)
def test_votes_take_the_place_of_labels_in_training_alone(processor, rows, expected):
    rows = [{"text": "yes", **row} for row in rows]
    soft = MerDataCollator(processor, ["text"], training=True, soft_targets=True)(rows)["labels"]
    assert soft.tolist() == expected
    for plain in ({"training": True}, {"soft_targets": True}):
        hard = MerDataCollator(processor, ["text"], **plain)(rows)["labels"]
        assert hard.tolist() == [-100 if row["label"] is None else int(row["label"]) for row in rows]


def test_labels_beside_votes_that_are_none(processor):
    collator = MerDataCollator(processor, ["text"], training=True, soft_targets=True)
    with pytest.raises(ValueError, match=r"has the label 'angry'.*class_encode_column"):
        collator([row(label="angry"), {**row(), "votes": VOTES}])
    with pytest.raises(ValueError, match=r"has a label of shape \(3,\), another one of shape \(\)"):
        collator([row(label=3), {**row(), "votes": VOTES}])


def test_labels_that_are_none(processor):
    with pytest.raises(ValueError, match=r"row u has the label 'angry'.*class_encode_column"):
        MerDataCollator(processor, ["text"])([row(label="angry")])
    with pytest.raises(ValueError, match=r"row u has a label of shape \(2,\), another one of shape \(\)"):
        MerDataCollator(processor, ["text"])([row(label=1), row(label=[0, 1])])


def test_labels_by_another_name_are_said_to_be_missing_once(processor, caplog):
    collator = MerDataCollator(processor, ["text"])
    for _ in range(2):
        assert "labels" not in collator([{"text": "yes", "emotion": 1}])
    assert caplog.text.count("rows.rename_column('emotion', 'label')") == 1
    caplog.clear()
    MerDataCollator(processor, ["text"])([{"text": "yes", "emotion": "tired", "label": None}])
    assert not caplog.text


class TestPlainTrainer:
    """`transformers.Trainer` with the collator, as people type it."""

    def train(self, processor, rows, folder, modalities=("text", "speech"), **settings):
        torch.manual_seed(0)
        model = LeMerForEmotionClassification(LeMerConfig(**tiny_settings("wav2vec2-bert")))
        settings = {"max_steps": 1, "use_cpu": True, "report_to": "none", "save_strategy": "no", **settings}
        trainer = Trainer(
            model=model,
            args=TrainingArguments(str(folder), **settings),
            train_dataset=rows,
            data_collator=MerDataCollator(processor, list(modalities)),
        )
        return trainer.train()

    @pytest.fixture
    def rows(self):
        return Dataset.from_list([{**row(), "audio": None}, {**row(label=3), "audio": None}])

    def test_trains(self, processor, rows, tmp_path):
        assert self.train(processor, rows, tmp_path, remove_unused_columns=False).training_loss > 0

    def test_columns_that_the_library_removed(self, processor, rows, tmp_path):
        for given in (rows, list(rows)):
            with pytest.raises(ValueError, match=r"they have label.*remove_unused_columns=False"):
                self.train(processor, given, tmp_path)

    def test_a_column_of_another_name(self, processor, rows, tmp_path):
        rows = rows.rename_column("text", "transcript").remove_columns("history")
        with pytest.raises(ValueError, match=r"rename_column\('transcript', 'text'\)"):
            self.train(processor, rows, tmp_path, remove_unused_columns=False)
        self.train(processor, rows, tmp_path, modalities=["speech"], remove_unused_columns=False)
