import numpy as np
import pytest

from hf_mer.models import batching_mer
from hf_mer.models.batching_mer import Results, in_batches
from hf_mer.models.utterances_mer import Utterance


def utterances(lengths):
    for index, length in enumerate(lengths):
        features = np.zeros(length, np.float32) if length else None
        yield Utterance(features=features, text=None if length else "so", start=float(index))


def test_batches_of_like_length_results_in_order():
    lengths = np.random.default_rng(0).integers(1, 1000, 200).tolist()
    batches = []

    def run(batch):
        batches.append([utterance.features.size for utterance in batch])
        return [utterance.start for utterance in batch]

    found = list(in_batches(utterances(lengths), lambda _: None, run, batch_size=8))
    assert [result for _, result in found] == [float(i) for i in range(200)]
    assert [utterance.start for utterance, _ in found] == [float(i) for i in range(200)]
    assert max(map(len, batches)) == 8
    assert len(batches) == 25
    padded = sum(len(batch) * max(batch) for batch in batches)
    in_order = sum(8 * max(lengths[i : i + 8]) for i in range(0, 200, 8))
    assert padded < 1.1 * sum(lengths) < 0.7 * in_order
    assert batches[0][0] == max(lengths[:128])  # what needs most memory comes first


def test_what_lacks_sound_is_not_padded_with_what_has_it():
    batches = []
    run = lambda batch: batches.append([u.features is None for u in batch]) or [None] * len(batch)  # noqa: E731
    list(in_batches(utterances([5, 0, 7, 0, 9, 0, 3, 0]), lambda _: None, run, batch_size=4))
    assert batches == [[False] * 4, [True] * 4]


@pytest.mark.parametrize(("batch_size", "loaded"), [(1, 1), (4, 64)])
def test_look_ahead(batch_size, loaded):
    taken = []
    source = (taken.append(u) or u for u in utterances([4] * 200))
    results = in_batches(source, lambda _: None, lambda batch: [0] * len(batch), batch_size)
    next(results)
    assert len(taken) == loaded


def test_look_ahead_is_bounded_in_bytes(monkeypatch):
    monkeypatch.setattr(batching_mer, "LOOK_AHEAD_BYTES", 10_000)
    taken = []
    source = (taken.append(u) or u for u in utterances([1000] * 200))
    next(in_batches(source, lambda _: None, lambda batch: [0] * len(batch), 32))
    assert len(taken) == 3


def test_features_are_let_go():
    found = list(in_batches(utterances([4] * 5), lambda _: None, lambda batch: [0] * len(batch), 2))
    assert all(utterance.features is None for utterance, _ in found)


def test_place_holders_are_not_run():
    given = [Utterance(is_empty=True), *utterances([4]), Utterance(text=" ", kind="window")]
    found = list(in_batches(given, lambda _: None, lambda batch: [1] * len(batch), 2))
    assert [result for _, result in found] == [None, 1, None]


def test_results_start_again_and_have_a_length():
    results = Results(lambda: iter([1, 2]), 2)
    assert len(results) == 2
    assert list(results) == list(results) == [1, 2]
    assert next(Results(lambda: iter([1, 2]), None)) == 1
    with pytest.raises(TypeError, match="without a length"):
        len(Results(lambda: iter([1]), None))
