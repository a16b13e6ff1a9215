"""A small generated corpus, tiny encoders to train, and one call that runs an experiment on them in this process."""

import copy
import dataclasses
import shutil

import pytest
from generated_corpus import SPEECH, TEXT, corpus, datasets_cache  # noqa: F401
from model_tester import tiny_speech_config, tiny_text_config, tiny_tokenizer, wave_feature_extractor

SETTINGS = {
    "text_encoder": TEXT,
    "speech_encoder": {**SPEECH, "mask_time_prob": 0.0, "layerdrop": 0.0},
    "protocol": "fixed_session",
    "validation": "speakers:1",
    "max_text_tokens": 48,
    "max_audio_seconds": 3.0,
    "discretizer": "kmeans",
    "kmeans_features": "input",
    "kmeans_clusters": 12,
    "tonal_top_k": 6,
    "text_top_k": 4,
    "min_word_count": 1,
    "num_train_epochs": 2,
    "seed": 3,
    "per_device_train_batch_size": 8,
    "learning_rate": 1e-3,
    "learning_rates": {},
    "lr_scheduler_type": "linear",
    "warmup_steps": 0,
    "use_cpu": True,
    "figures": False,
    "bootstrap_resamples": 20,
    "disable_tqdm": True,
}


@pytest.fixture(scope="session")
def new_experiment(corpus):
    """`new_experiment(output_dir=..., fusion="sum", ...)`: an experiment; settings by name, over the tiny ones."""
    from hf_mer.training import (
        DataArguments,
        Experiment,
        LabelStoreArguments,
        LeMerArguments,
        MerTrainingArguments,
    )

    types = (LeMerArguments, DataArguments, LabelStoreArguments, MerTrainingArguments)

    def make(**settings):
        wanted = {"data_dir": str(corpus), **copy.deepcopy(SETTINGS), **settings}
        return Experiment(
            *(
                cls(**{k: v for k, v in wanted.items() if k in {f.name for f in dataclasses.fields(cls)}})
                for cls in types
            )
        )

    return make


@pytest.fixture
def make_experiment(new_experiment, tmp_path):
    """`make_experiment(fusion="sum", ...)`: a `new_experiment` in the test's own folder `run`."""
    return lambda **settings: new_experiment(**{"output_dir": str(tmp_path / "run"), **settings})


@pytest.fixture(scope="session")
def finished(new_experiment, tmp_path_factory):
    """A finished run with figures, trained once for all tests that read it: its folder and its report."""
    import datasets

    folder = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as patched:
        cache = tmp_path_factory.getbasetemp() / "datasets_cache"
        patched.setattr(datasets.config, "HF_DATASETS_CACHE", str(cache))
        return folder, new_experiment(output_dir=str(folder), figures=True).run()


@pytest.fixture
def finished_copy(finished, tmp_path):
    """The same in the test's own folder `run`, to go on in or to change: its report."""
    shutil.copytree(finished[0], tmp_path / "run")
    return finished[1]


@pytest.fixture
def trainings(monkeypatch):
    """One entry per training that was begun: the checkpoint it went on from."""
    from hf_mer.training.trainer import MerTrainer

    calls = []
    original = MerTrainer.train

    def train(self, resume_from_checkpoint=None, **kwargs):
        calls.append(resume_from_checkpoint)
        return original(self, resume_from_checkpoint=resume_from_checkpoint, **kwargs)

    monkeypatch.setattr(MerTrainer, "train", train)
    return calls


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory):
    """Folders of a tiny pretrained BERT and a tiny wav2vec 2.0 with its quantizer."""
    import torch
    from transformers import BertModel, Wav2Vec2ForPreTraining

    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("pretrained")
    BertModel(tiny_text_config("bert")).save_pretrained(root / "bert")
    tiny_tokenizer().save_pretrained(root / "bert")
    speech = Wav2Vec2ForPreTraining(tiny_speech_config("wav2vec2", conv_kernel=[20, 16], conv_stride=[20, 16]))
    speech.save_pretrained(root / "wav2vec2")
    wave_feature_extractor().save_pretrained(root / "wav2vec2")
    return {"text_encoder": str(root / "bert"), "speech_encoder": str(root / "wav2vec2")}
