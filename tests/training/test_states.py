"""States of frozen encoders: computed once for every recording, whatever table names it."""

import multiprocessing
import os
import shutil
import signal

import datasets
import numpy as np
import pytest
import torch
from model_tester import mel_feature_extractor, tiny_settings, tiny_tokenizer

from hf_mer.data.collator import MerDataCollator
from hf_mer.data.schema import make_record, records_to_dataset
from hf_mer.data.state_files import references
from hf_mer.models import (
    LeMerConfig,
    LeMerForEmotionClassification,
    MerProcessor,
    MgcmaConfig,
    MgcmaForEmotionClassification,
)
from hf_mer.training import states
from hf_mer.training.features import add_lengths
from hf_mer.training.label_store.stores import StoreRecipe
from hf_mer.training.settings.label_store_arguments import LabelStoreArguments
from hf_mer.training.stages import Stage
from hf_mer.training.states import bytes_text, cache_states

MIXED = {"text_layers": "mix", "speech_layers": "mix"}


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path, monkeypatch):
    """One for every test: the others have recordings of the same content."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def files(write_wav):
    return [write_wav(f"{number}.wav", 0.2 + number / 10, pitch=200.0 + 40 * number) for number in range(4)]


def make_rows(*records) -> datasets.Dataset:
    made = [make_record(**{"id": f"u{number}", "label": 0, **record}) for number, record in enumerate(records)]
    return add_lengths(records_to_dataset(made, ["any"]), make_processor(), ["text", "speech"])


@pytest.fixture
def rows(files):
    return make_rows(
        {"audio": files[0], "text": "so glad", "history": ["who is it"]},
        {"audio": files[1], "text": "awful"},
        {"audio": files[2], "text": "so glad"},
        {"text": "lovely day"},
    )


def make_processor() -> MerProcessor:
    return MerProcessor(mel_feature_extractor(), tiny_tokenizer())


def make_model(kind: str = "mgcma", **overrides):
    torch.manual_seed(0)
    modalities = overrides.get("modalities", ["text", "speech"])
    settings = {**tiny_settings("wav2vec2-bert"), "freeze": [f"{name}_encoder" for name in modalities], **overrides}
    if kind == "le_mer":
        return LeMerForEmotionClassification(LeMerConfig(**settings)).eval()
    return MgcmaForEmotionClassification(MgcmaConfig(num_attention_heads=2, num_token_blocks=1, **settings)).eval()


def both(rows, model, **kwargs):
    for name in ("text", "speech"):
        rows = cache_states(rows, name, model, MerDataCollator(make_processor(), [name]), batch_size=3, **kwargs)
    return rows


def batch_of(rows, indices=(0, 1, 2, 3)):
    return MerDataCollator(make_processor(), ["text", "speech"])([rows[index] for index in indices])


@pytest.fixture
def encoded(monkeypatch):
    """Ids of the rows that went through an encoder, but for the one that the size is told by."""
    ids = []
    original = states._Making.write

    def write(self, keys, folder):
        ids.extend(self.rows[index]["id"] for index in keys)
        return original(self, keys, folder)

    monkeypatch.setattr(states._Making, "write", write)
    return ids


@pytest.mark.parametrize("kind", ["mgcma", "le_mer"])
@pytest.mark.parametrize("layers", [{}, MIXED], ids=["last", "mix"])
@torch.no_grad()
def test_logits_are_those_of_the_raw_inputs(rows, kind, layers):
    own = {"history_in_fusion": False} if kind == "le_mer" else {}
    model = make_model(kind, **layers, **own)
    cached = both(rows, model, dtype="float32")
    assert cached["id"][:] == rows["id"][:]
    batch = batch_of(cached)
    names = {"text_features", "attention_mask", "token_type_ids", "speech_features", "audio_attention_mask", "labels"}
    assert set(batch) == names
    assert batch["speech_features"].dim() == (4 if layers else 3)
    raw = batch_of(rows)
    assert torch.equal(batch["token_type_ids"], raw["token_type_ids"] * raw["attention_mask"])
    assert 0 < batch["token_type_ids"][0].sum() < batch["attention_mask"][0].sum()  # it has history
    expected = model(**raw).logits
    torch.testing.assert_close(model(**batch).logits, expected, rtol=0, atol=1e-5)
    halves = both(rows, model)
    logits = model(**batch_of(halves)).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-2)
    assert not torch.equal(logits, expected)


def test_an_utterance_without_the_modality(rows):
    cached = both(rows, make_model())
    assert rows[3]["audio"] is None
    batch = batch_of(cached, (0, 3))
    assert batch["audio_attention_mask"].sum(dim=1).tolist() == [batch["speech_features"].shape[1], 0]
    assert "speech_features" not in batch_of(cached, [3])


def test_a_recording_is_found_whatever_table_names_it(files, rows, encoded):
    """Another order, other sentences, a part, twice the same; what is new alone is computed."""
    model = make_model(modalities=["speech"])
    cached = cache_states(rows, "speech", model, MerDataCollator(make_processor(), ["speech"]))
    assert encoded == ["u0", "u1", "u2"]
    encoded.clear()
    other = make_rows(
        {"id": "a", "audio": files[2], "text": "other"},
        {"id": "b", "audio": files[3]},
        {"id": "c", "audio": files[0]},
        {"id": "d", "audio": files[2]},
        {"id": "e", "audio": files[3], "audio_end": 0.25},
    )
    stage = Stage()
    found = cache_states(other, "speech", model, MerDataCollator(make_processor(), ["speech"]), stage=stage)
    assert encoded == ["b", "e"]
    assert not stage.to_dict()["reused"]
    assert found[0]["speech_states"] == found[3]["speech_states"] == cached[2]["speech_states"]
    assert found[2]["speech_states"] == cached[0]["speech_states"]
    collator = MerDataCollator(make_processor(), ["speech"])
    whole, cut = (collator([found[index]])["speech_features"].shape[1] for index in (1, 4))
    assert cut < whole
    subset = cache_states(other.select([4, 0]), "speech", model, collator, stage=(again := Stage()))
    assert again.to_dict()["reused"]
    assert subset[0]["speech_states"] == found[4]["speech_states"]


def test_texts_share_states_where_no_history_is_read(rows, encoded):
    model = make_model(modalities=["text"])
    cache_states(rows, "text", model, MerDataCollator(make_processor(), ["text"]))
    assert encoded == ["u0", "u1", "u2", "u3"]
    encoded.clear()
    cache_states(rows, "text", model, MerDataCollator(make_processor(), ["text"], use_history=False))
    assert encoded == ["u0", "u1", "u3"]


def test_made_anew_for_other_weights_settings_and_layers(rows, encoded):
    model = make_model()
    both(rows, model)
    encoded.clear()
    both(rows, make_model(alignment_order=[]))  # which no encoder knows of
    assert not encoded
    mixed = make_model(**MIXED)
    both(rows, mixed)
    assert len(encoded) == 7
    encoded.clear()
    with torch.no_grad():
        next(model.text_encoder.parameters()).add_(1e-3)
        mixed.speech_mixture.weight.add_(1.0)  # what is learned on top of the states
    both(rows, mixed)
    assert not encoded
    both(rows, model)
    assert len(encoded) == 4


def test_size_is_told_and_a_full_disk_refused_before(rows, caplog, monkeypatch, encoded):
    caplog.set_level("INFO")
    model = make_model(**MIXED)
    rows = rows.remove_columns(["duration", "length"]).add_column("duration", [0.2, 0.3, 0.4, None])
    rows = add_lengths(rows, make_processor(), ["text", "speech"])
    cached = both(rows, model)
    told = [record.getMessage() for record in caplog.records if "encoder: about" in record.getMessage()]
    for modality, message in zip(("text", "speech"), told, strict=True):
        files = [np.prod(_states(row, modality).shape) * 2 for row in cached if row[f"{modality}_states"]]
        assert message.startswith(f"states of the frozen {modality} encoder: about")
        assert f"for {len(files)} utterances (3 layers, up to" in message
        size = float(message.split("about ")[1].split(" kB")[0]) * 1000
        assert size == pytest.approx(sum(files), rel=0.1)
    monkeypatch.setattr(states.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1000))
    encoded.clear()
    with pytest.raises(
        OSError, match=r"states of the frozen text encoder: about .* kB for 4 utterances; cache_features=false"
    ):
        cache_states(rows, "text", model, MerDataCollator(make_processor(), ["text"]), dtype="float32")
    assert not encoded
    both(rows, model)  # for what is there already no space is asked


def _states(row, modality):
    from hf_mer.data.state_files import read_states

    return read_states(row[f"{modality}_states"])


def test_sizes_in_words():
    assert [bytes_text(size) for size in (1500, 2_300_000, 1_070_000_000)] == ["1.5 kB", "2.3 MB", "1.1 GB"]


def test_states_that_do_not_fit_are_refused(rows):
    model = make_model()
    with torch.no_grad():
        for parameter in model.text_encoder.encoder.layer[-1].output.LayerNorm.parameters():
            parameter.fill_(1e6)
    collator = MerDataCollator(make_processor(), ["text"])
    with pytest.raises(ValueError, match=r"row u\d: states of the text encoder.*float16; set cache_dtype=float32"):
        cache_states(rows, "text", model, collator, batch_size=3)
    cache_states(rows, "text", model, collator, dtype="float32")


def test_memory_is_mapped(rows):
    """A row's states are a view of the file, and rows are references that are as small as a path."""
    cached = both(rows, make_model())
    assert set(cached[0]["speech_states"]) == {"path", "row", "history"}
    assert not _states(cached[0], "speech").flags.owndata
    assert cached.data.nbytes < 4096


def _killed_after_one_file(cache, rows, ready):
    datasets.config.HF_DATASETS_CACHE = str(cache)
    states._FILE_BYTES = 1  # a file for every recording
    close = states._close

    def close_and_die(writer, temporary):
        if any(temporary.parent.glob("*.arrow")) and len(list(temporary.parent.glob("*.arrow"))) > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return close(writer, temporary)

    states._close = close_and_die
    cache_states(rows, "speech", make_model(modalities=["speech"]), MerDataCollator(make_processor(), ["speech"]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be killed")
def test_what_a_killed_process_had_finished_is_kept(rows, datasets_cache, encoded):
    process = multiprocessing.get_context("fork").Process(
        target=_killed_after_one_file, args=(datasets_cache, rows, None)
    )
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    folder = next((datasets_cache / "hf_mer_states").iterdir())
    left = sorted(path.name for path in folder.glob("*.arrow"))
    assert "tmp.arrow" in left
    finished = len(left) - 1
    model = make_model(modalities=["speech"])
    cached = cache_states(rows, "speech", model, MerDataCollator(make_processor(), ["speech"]))
    assert len(encoded) == 3 - finished < 3
    assert not list(folder.glob("tmp*"))
    assert [_states(row, "speech").shape[1] for row in cached if row["speech_states"]] == [16, 16, 16]


def _fill(cache, rows, start):
    datasets.config.HF_DATASETS_CACHE = str(cache)
    states._FILE_BYTES = 1
    start.wait(60)
    cache_states(rows, "speech", make_model(modalities=["speech"]), MerDataCollator(make_processor(), ["speech"]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that know what the test has made")
def test_two_processes_at_once_compute_everything_once(rows, datasets_cache):
    context = multiprocessing.get_context("fork")
    start = context.Event()
    tables = (rows, rows.select([2, 1, 3]))
    processes = [context.Process(target=_fill, args=(datasets_cache, table, start)) for table in tables]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    folder = next((datasets_cache / "hf_mer_states").iterdir())
    assert len(list(folder.glob("*.arrow"))) == len(references(folder)) == 3


def test_a_damaged_file_is_made_anew(rows, datasets_cache, encoded, caplog):
    model = make_model(modalities=["speech"])
    collator = MerDataCollator(make_processor(), ["speech"])
    cache_states(rows, "speech", model, collator)
    folder = next((datasets_cache / "hf_mer_states").iterdir())
    damaged = next(folder.glob("*.arrow"))
    damaged.rename(folder / "other.arrow")  # what is mapped already stays
    (folder / "other.arrow").write_bytes((folder / "other.arrow").read_bytes()[:200])
    encoded.clear()
    cache_states(rows, "speech", model, collator)
    assert len(encoded) == 3
    assert "other.arrow" in caplog.text
    assert not (folder / "other.arrow").exists()


@pytest.mark.parametrize(("discretizer", "features"), [("kmeans", "hidden"), ("kmeans", "input")])
@pytest.mark.parametrize("layers", [{}, MIXED], ids=["last", "mix"])
def test_label_stores_are_built_of_cached_states(rows, monkeypatch, discretizer, features, layers):
    """As of the recordings, which are read only where codes are of something else than hidden states."""
    model = make_model("le_mer", text_label_init="label_words", **layers)
    rows = rows.select([0, 1, 2])
    arguments = LabelStoreArguments(discretizer=discretizer, kmeans_features=features, kmeans_clusters=4)
    labels = ["any", "some", "other", "none"]
    rows = rows.remove_columns("label").add_column("label", [0, 1, 2])
    rows = datasets.concatenate_datasets([rows, rows.remove_columns("label").add_column("label", [3, 3, 3])])
    collator = MerDataCollator(make_processor(), ["text", "speech"])
    raw = StoreRecipe(model, collator, rows, labels, arguments)
    cached = StoreRecipe(model, collator, both(rows, model, dtype="float32"), labels, arguments, states="float32")
    assert raw.key() != cached.key()
    expected = raw.build(progress=False)
    reads = []
    original = MerProcessor.extract_audio
    monkeypatch.setattr(MerProcessor, "extract_audio", lambda *args: reads.append(1) or original(*args))
    found = cached.build(progress=False)
    assert len(reads) == (6 if features == "input" else 0)
    assert [[code for code, _ in codes] for codes in found.tonal_codes.values()] == [
        [code for code, _ in codes] for codes in expected.tonal_codes.values()
    ]
    torch.testing.assert_close(found.tonal_embeddings, expected.tonal_embeddings, rtol=1e-4, atol=1e-5)
