"""Explanations of predictions: what they add up to, that they are true of models made for it, and what is refused."""

import itertools
import json
import math
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from media_files import save_film_checkpoint
from model_tester import LABELS, feature_extractor_for, save_tiny_checkpoint, tiny_settings, tiny_tokenizer, tone
from transformers import pipeline

from hf_mer.models import PIPELINE_TASK, LeMerConfig, MerProcessor, MgcmaConfig, MgcmaForEmotionClassification
from hf_mer.models.coalitions_mer import LogProbabilities, Variant
from hf_mer.models.explain_mer import _Contexts, explain
from hf_mer.models.mer_outputs import MerOutput
from hf_mer.models.shapley_mer import exact_shapley

PRIOR = [0.1, 0.2, 0.3, 0.4]
TURNS = ["who is it ?", "yes"]


def save_mgcma(folder):
    torch.manual_seed(0)
    settings = {"num_attention_heads": 2, "num_token_blocks": 1, "alignment_order": ["token", "distribution"]}
    MgcmaForEmotionClassification(MgcmaConfig(**{**tiny_settings(), **settings})).eval().save_pretrained(folder)
    MerProcessor(feature_extractor_for("wav2vec2"), tiny_tokenizer(), max_text_tokens=40).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    made = {
        "le_mer": save_tiny_checkpoint(place / "le_mer")[0],
        "mgcma": save_mgcma(place / "mgcma"),
        "wavfusion": save_film_checkpoint(place / "wavfusion"),
    }
    found = {name: pipeline(PIPELINE_TASK, model=folder, device="cpu") for name, folder in made.items()}
    for one in found.values():
        one.model.config.class_prior = PRIOR
        one.model.config.temperatures = {"text": 0.5, "speech": 2.0, "text+speech": 1.5}
    return found


@pytest.fixture(scope="module")
def recognise(pipelines):
    return pipelines["le_mer"]


@pytest.fixture
def film(write_video):
    return write_video(seconds=0.6)


@pytest.mark.parametrize(
    ("others", "keeps_states", "orders"),
    [(1, True, 4), (2, True, 4), (3, True, 2), (1, False, 2), (2, False, 2), (0, False, 4)],
)
def test_own_orders_where_many_combinations_share_the_budget(others, keeps_states, orders):
    """Ten places need `orders` of nine coalitions in every combination of the other modalities."""
    fields = [{"history": ["yes"]}, {"features": np.zeros(3)}, {"pixels": np.zeros((1, 3, 2, 2))}]
    whole = Variant("so", **{name: value for one in fields[:others] for name, value in one.items()})
    contexts = _Contexts(SimpleNamespace(keeps_states=keeps_states), whole, "text", np.zeros(2 ** (others + 1)))
    enough = orders * 9 * 2**others
    assert contexts.fitting(10, enough) == 10
    assert contexts.fitting(10, enough - 1) < 10


def test_a_word_of_the_history_has_half_the_budget_of_the_utterances(recognise, monkeypatch):
    shares, valued = {}, _Contexts.valued

    def watched(self, places, label, budget):
        shares[places.player] = budget / len(places)
        return valued(self, places, label, budget)

    monkeypatch.setattr(_Contexts, "valued", watched)
    said = "who is it and what a day it was and who was it then"
    explain(recognise.model, recognise.processor, text=said, history=[said], budget=800)
    assert shares["history"] == pytest.approx(shares["text"] / 2, rel=0.25)  # with what the text has left


def total(entries):
    return sum(entry["value"] for entry in entries)


def check_sums(found):
    """Modalities add up to the whole, and places to their modality."""
    assert sum(found["modalities"].values()) == pytest.approx(math.log(found["score"] / found["prior"]), abs=1e-6)
    places = {
        "text": [word for word in found["words"] if word["current"]],
        "history": [word for word in found["words"] if not word["current"]],
        "speech": found["segments"],
        "video": found["video_spans"],
    }
    for name, entries in places.items():
        assert (name in found["modalities"]) == bool(entries)
        assert total(entries) == pytest.approx(found["modalities"].get(name, 0.0), abs=1e-6)
        assert all(entry["error"] >= 0 for entry in entries)


class TestEveryModel:
    @pytest.mark.parametrize("name", ["le_mer", "mgcma"])
    @pytest.mark.parametrize("parts", ["audio text history", "audio text", "audio history", "text history", "audio"])
    def test_two_modalities(self, pipelines, name, parts):
        given = {"audio": tone(0.8), "text": "so glad you came", "history": TURNS}
        item = {part: given[part] for part in parts.split()}
        plain = pipelines[name](item)
        result = pipelines[name](item, explain=True)
        assert result["scores"] == plain  # to the last bit
        found = result["explanation"]
        check_sums(found)
        assert found["label"] == plain[0]["label"]
        assert found["score"] == pytest.approx(plain[0]["score"], abs=1e-5)
        assert found["prior"] == pytest.approx(PRIOR[LABELS.index(found["label"])])
        assert found["prior_source"] == "training"
        assert set(found["modalities"]) == {{"audio": "speech"}.get(part, part) for part in parts.split()}
        assert "warnings" not in found
        json.dumps(found)

    def test_three_modalities(self, pipelines, film):
        given = {"video": film, "text": "so glad", "history": ["yes"]}
        result = pipelines["wavfusion"](given, explain={"budget": 200})
        found = result["explanation"]
        check_sums(found)
        assert list(found["modalities"]) == ["text", "history", "speech", "video"]
        assert found["forward_passes"] <= 200
        spans = [(span["start"], span["end"]) for span in found["video_spans"]]
        assert spans[0][0] == 0
        assert spans[-1][1] == pytest.approx(0.6, abs=0.05)
        array = np.random.default_rng(0).integers(0, 255, (4, 20, 20, 3), dtype=np.uint8)
        frames = pipelines["wavfusion"]({"video": array, "text": "so"}, explain=True)["explanation"]["video_spans"]
        assert [span["start"] for span in frames] == [None] * 4


def test_words_by_all_orders_of_modalities_and_of_their_words(recognise):
    """By the definition of Owen values: modalities join in every order, and the words of the text in every order."""
    words, sound = ["so", "glad", "you"], tone(0.6)
    found = recognise({"audio": sound, "text": " ".join(words), "history": ["yes"]}, explain=True)["explanation"]
    features = recognise.processor.features_of(sound)
    whole = Variant(" ".join(words), ["yes"], features)
    ask = LogProbabilities(recognise.model, recognise.processor, whole)
    label = LABELS.index(found["label"])

    def outcome(players, kept):
        text = " ".join(word for place, word in enumerate(words) if place in kept)
        return ask([whole.only(players).with_changed({"text": text or None})])[0, label]

    gains = np.zeros(3)
    orders = [
        *itertools.product(itertools.permutations(["text", "history", "speech"]), itertools.permutations(range(3)))
    ]
    for modalities, places in orders:
        before = modalities[: modalities.index("text")]
        for count, place in enumerate(places):
            gains[place] += outcome(before, places[: count + 1]) - outcome(before, places[:count])
    values = [word["value"] for word in found["words"] if word["current"]]
    assert values == pytest.approx(gains / len(orders), abs=1e-5)


def test_without_states_every_combination_has_orders_of_its_own(recognise, monkeypatch):
    """They lead to the values of all orders, and need half the forward passes to value every word by itself."""
    item = {"audio": tone(0.6), "text": "so glad you came who is it yes no", "history": ["yes"]}

    def explained(budget):
        found = recognise(item, explain={"budget": budget, "modalities": ["text"]})["explanation"]
        words = [word for word in found["words"] if word["current"]]
        assert total(words) == pytest.approx(found["modalities"]["text"], abs=1e-6)
        assert found["forward_passes"] <= budget
        return np.array([word["value"] for word in words]), np.array([word["error"] for word in words])

    true, exact = explained(10_000)
    assert (exact == 0).all()
    assert len(explained(120)[0]) < 9  # neighbours are valued together
    monkeypatch.setattr(type(recognise.model), "takes_features", False)
    assert explained(10_000)[0] == pytest.approx(true, abs=1e-5)
    assert len(explained(120)[0]) == 9
    values, errors = explained(1000)
    assert (errors > 0).all()
    assert (np.abs(values - true) < 5 * errors).all()


class Words:
    """A model that knows what single words are worth, so that every value can be told by hand."""

    training = False
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, processor, worth, together=None):
        settings = tiny_settings()
        self.config = LeMerConfig(
            text_config=settings["text_config"], modalities=["text"], id2label=settings["id2label"]
        )
        self.worth = {processor.tokenizer.convert_tokens_to_ids(word): value for word, value in worth.items()}
        self.together = together and [processor.tokenizer.convert_tokens_to_ids(word) for word in together]

    def __call__(self, input_ids, attention_mask, return_dict, **inputs):
        rows = []
        for ids, mask in zip(input_ids.tolist(), attention_mask.tolist(), strict=True):
            real = [token for token, here in zip(ids, mask, strict=True) if here]
            value = sum(self.worth.get(token, 0.0) for token in real)
            value += 3.0 * bool(self.together and set(self.together) <= set(real))
            share = 0.9 * math.tanh(value) / 2 + 0.5  # of the first class
            rows.append([math.log(share), *[math.log((1 - share) / 3)] * 3])
        return MerOutput(logits=torch.tensor(rows))


@pytest.fixture
def processor():
    return MerProcessor(feature_extractor_for("wav2vec2"), tiny_tokenizer(), max_text_tokens=40)


class TestModelsMadeForIt:
    def test_the_word_that_decides(self, processor):
        found = explain(Words(processor, {"glad": 1.0}), processor, text="i am so glad you came", label=LABELS[0])
        values = [word["value"] for word in found["words"]]
        assert int(np.argmax(values)) == 3
        others = np.delete(values, 3)
        # which only stand for "there is a text" where nothing else is left
        assert others == pytest.approx(others[0], abs=1e-6)
        assert values[3] > 5 * abs(others[0])

    def test_equal_words_get_the_same(self, processor):
        model = Words(processor, {}, together=["glad", "came"])
        words = explain(model, processor, text="so glad you came yes", label=LABELS[0])["words"]
        values = [word["value"] for word in words]
        assert values[1] == pytest.approx(values[3])
        assert values[0] == pytest.approx(values[2]) == pytest.approx(values[4])
        assert values[1] > values[0]

    def test_against_a_word_is_negative(self, processor):
        model = Words(processor, {"glad": 1.0, "awful": -0.7})
        values = {
            word["word"]: word["value"]
            for word in explain(model, processor, text="so glad awful day", label=LABELS[0])["words"]
        }
        assert values["awful"] < 0 < values["glad"]

    def test_few_words_are_exact(self, processor):
        """By brute force: every text that some of the words make."""
        model = Words(processor, {"glad": 1.0, "awful": -0.5, "yes": 0.2}, together=["glad", "yes"])
        words = ["so", "glad", "awful", "yes"]
        ask = LogProbabilities(model, processor, Variant(text=" ".join(words)))
        texts = [" ".join(word for bit, word in enumerate(words) if number >> bit & 1) for number in range(16)]
        outcomes = ask([Variant(text=text or None) for text in texts])
        for label, name in enumerate(LABELS):
            found = explain(model, processor, text=" ".join(words), label=name)
            assert found["label"] == name
            assert [word["value"] for word in found["words"]] == pytest.approx(exact_shapley(outcomes[:, label]))
            assert [word["error"] for word in found["words"]] == [0] * 4


class TestPlaces:
    def test_one_word_has_the_value_of_the_text(self, recognise):
        found = recognise({"audio": tone(), "text": "glad"}, explain=True)["explanation"]
        (word,) = found["words"]
        assert word == {
            "word": "glad",
            "current": True,
            "value": pytest.approx(found["modalities"]["text"]),
            "error": 0,
        }

    def test_words_of_the_history_come_first(self, recognise):
        found = recognise({"text": "so glad", "history": TURNS}, explain=True)["explanation"]
        assert [word["word"] for word in found["words"]] == ["who", "is", "it", "?", "yes", "so", "glad"]
        assert [word["current"] for word in found["words"]] == [False] * 5 + [True] * 2

    def test_a_history_that_a_long_text_leaves_no_room_for(self, recognise):
        """It is read where the text is left out: its words have its value."""
        found = recognise({"text": "what a day " * 20, "history": TURNS}, explain=True)["explanation"]
        values = [word["value"] for word in found["words"] if not word["current"]]
        assert values
        assert sum(values) == pytest.approx(found["modalities"]["history"], abs=1e-6)

    def test_segments_by_word(self, recognise):
        timed = [{"text": "so", "timestamp": (0.0, 0.3)}, {"text": "glad", "timestamp": (0.3, 0.8)}]
        found = recognise({"audio": tone(0.8), "text": timed}, explain=True)["explanation"]
        assert found["segments_by"] == "words"
        assert [segment["word"] for segment in found["segments"]] == ["so", "glad"]
        assert [(word["start"], word["end"]) for word in found["words"]] == [(0.0, 0.3), (0.3, 0.8)]
        windows = recognise({"audio": tone(0.8), "text": "so glad"}, explain=True)["explanation"]
        assert windows["segments_by"] == "windows"
        assert len(windows["segments"]) == 3
        assert "word" not in windows["segments"][0]

    def test_chosen_modalities(self, recognise):
        item = {"audio": tone(0.8), "text": "so glad", "history": TURNS}
        everything = recognise(item, explain=True)["explanation"]
        found = recognise(item, explain={"modalities": ["history"]})["explanation"]
        assert found["modalities"] == everything["modalities"]
        assert [word["word"] for word in found["words"]] == ["who", "is", "it", "?", "yes"]
        assert found["segments"] == []
        assert found["segments_by"] is None
        none = recognise(item, explain={"modalities": []})["explanation"]
        assert none["forward_passes"] == 7
        assert not none["words"]

    def test_a_small_budget_values_groups(self, recognise):
        words = ["so", "glad", "you", "came"] * 8
        found = recognise({"audio": tone(1.5), "text": " ".join(words)}, explain={"budget": 100})["explanation"]
        assert found["forward_passes"] <= 100
        assert " ".join(word["word"] for word in found["words"]) == " ".join(words)
        assert 2 <= len(found["words"]) < 32
        assert found["warnings"][-1].startswith("explain: 32 places of text are valued in ")
        check_sums(found)

    def test_more_budget_less_error(self, recognise):
        item = {"audio": tone(0.8), "text": "so glad you came is it a lovely day yes"}
        errors = [
            np.mean([word["error"] for word in recognise(item, explain={"budget": budget})["explanation"]["words"]])
            for budget in (100, 1500)
        ]
        assert errors[1] < errors[0]


class TestRunning:
    def test_no_prior(self, pipelines):
        config = pipelines["mgcma"].model.config
        config.class_prior = None
        found = pipelines["mgcma"]({"text": "so glad"}, explain=True)["explanation"]
        config.class_prior = PRIOR
        assert found["prior"] == pytest.approx(0.25)
        assert found["prior_source"] == "uniform"
        check_sums(found)

    def test_another_class(self, recognise):
        item = {"audio": tone(), "text": "so glad"}
        scores = {one["label"]: one["score"] for one in recognise(item)}
        for label in LABELS:
            found = recognise(item, explain={"label": label})["explanation"]
            assert found["label"] == label
            assert found["score"] == pytest.approx(scores[label], abs=1e-5)

    def test_function_and_pipeline_agree_and_repeat(self, recognise):
        item = {"audio": tone(1.0), "text": "so glad you came is it a day", "history": TURNS}
        mine = recognise(item, explain={"budget": 300})["explanation"]
        assert explain(recognise.model, recognise.processor, **item, budget=300) == mine
        with ThreadPoolExecutor(3) as threads:
            runs = [threads.submit(recognise, item, explain={"budget": 300}) for _ in range(6)]
            assert all(run.result()["explanation"] == mine for run in runs)

    def test_lists_and_batches(self, recognise):
        items = [{"audio": tone(0.5), "text": "so glad"}, {"text": "awful day"}, {"audio": tone(0.7)}]
        alone = [recognise(item, explain=True)["explanation"] for item in items]
        together = recognise(items, explain=True, batch_size=2, num_workers=0)
        assert [result["explanation"] for result in together] == alone

    def test_turns_and_windows(self, recognise):
        turns = recognise([{"text": "who is it ?"}, {"audio": tone(), "text": "so glad"}], dialogue=True, explain=True)
        assert [word["word"] for word in turns[1]["explanation"]["words"]][:4] == ["who", "is", "it", "?"]
        counted = []
        bar = SimpleNamespace(update=counted.append, close=lambda: None)
        result = recognise(tone(2.0), window_seconds=1.0, hop_seconds=1.0, explain=True, progress=bar)
        assert sum(counted) == len(result["timeline"]) == 2
        for entry in result["timeline"]:
            check_sums(entry["explanation"])
            segments = entry["explanation"]["segments"]
            assert segments[0]["start"] == pytest.approx(entry["start"])
            assert segments[-1]["end"] == pytest.approx(entry["end"])

    def test_without_it_nothing_changes(self, recognise):
        item = {"audio": tone(), "text": "so glad"}
        assert recognise(item, explain=False) == recognise(item) == recognise(item, explain=None)
        with_threshold = recognise(item, threshold=0.1, explain=True)
        assert set(with_threshold) == {"label", "scores", "explanation"}


class TestBadInput:
    @pytest.mark.parametrize(
        ("asked", "error", "message"),
        [
            ({"budget": 0}, ValueError, r"^explain: budget=0 must be at least 100 forward passes$"),
            ({"budget": 99}, ValueError, r"^explain: budget=99 must be at least 100"),
            ({"budget": 2.5}, TypeError, r"^explain: budget=2.5 must be a whole number"),
            ({"budget": True}, TypeError, r"^explain: budget=True must be a whole number"),
            ({"label": "joy"}, ValueError, r"^explain: label 'joy' is not one of angry, happy, neutral, sad$"),
            ({"label": 1}, TypeError, r"^explain: label=1 must be the name of a class"),
            (
                {"modalities": ["video"]},
                ValueError,
                r"'video' is not one of text, history, speech, which this model has$",
            ),
            ({"modalities": "text"}, TypeError, r"^explain: modalities='text' must be a list"),
            ({"classes": 1}, TypeError, r"^explain: unknown key 'classes'; known are label, budget, modalities$"),
            ("sad", TypeError, r"^explain='sad' must be True or False, or a dictionary"),
        ],
    )
    def test_settings(self, recognise, asked, error, message):
        """Before any file is opened."""
        with pytest.raises(error, match=message):
            recognise("no such file.wav", explain=asked)

    def test_settings_of_the_function(self, recognise):
        with pytest.raises(ValueError, match=r"^explain: budget=5 must be at least 100"):
            explain(recognise.model, recognise.processor, text="so glad", budget=5)
        with pytest.raises(ValueError, match=r"^explain: label 'joy' is not one of"):
            explain(recognise.model, recognise.processor, text="so glad", label="joy")

    def test_windows_that_are_joined(self, recognise):
        with pytest.raises(ValueError, match="merge_overlaps joins windows that have an explanation each"):
            recognise("no such file.wav", window_seconds=2.0, merge_overlaps=True, explain=True)

    @pytest.mark.parametrize("given", [{}, {"text": ""}, {"text": " ", "history": [""]}])
    def test_nothing_to_explain(self, recognise, given):
        message = r"^an input has nothing that this model can use; it needs text or speech, and was given "
        with pytest.raises(ValueError, match=message):
            explain(recognise.model, recognise.processor, **given)
        if given:
            with pytest.raises(ValueError, match=message):
                recognise(given, explain=True)

    def test_history_that_is_not_looked_at(self, processor):
        processor.max_history = 0
        with pytest.raises(ValueError, match=r"^nothing to explain: the utterance has no text$"):
            explain(Words(processor, {}), processor, history=["yes"])

    def test_a_model_in_training(self, recognise):
        recognise.model.train()
        try:
            with pytest.raises(ValueError, match=r"^the model is in training mode.*call model.eval\(\)$"):
                explain(recognise.model, recognise.processor, text="so glad")
        finally:
            recognise.model.eval()
