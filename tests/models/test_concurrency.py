"""Threads that share a model, a processor or a pipeline: forward depends on its arguments alone."""

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from model_tester import (
    SPEECH_TYPES,
    checkpoint_activations,
    make_batch,
    save_tiny_checkpoint,
    tiny_settings,
    tiny_speech_config,
    tiny_video_config,
    tone,
)
from transformers import AutoModelForPreTraining, pipeline

from hf_mer.models import (
    LeMerConfig,
    LeMerForEmotionClassification,
    MgcmaConfig,
    MgcmaForEmotionClassification,
    WavFusionConfig,
    WavFusionForEmotionClassification,
)
from hf_mer.training.pretraining.models import ContrastivePretrainer

CALLS, THREADS = 60, 6


@pytest.fixture(autouse=True)
def busy_threads():
    """Threads give way a hundred times as often as usual, so that few calls show what many would."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 100)
    yield
    sys.setswitchinterval(before)


def make_model(name):
    torch.manual_seed(0)
    if name == "mgcma":
        settings = tiny_settings()
        config = MgcmaConfig(**settings, hidden_size=16, num_attention_heads=2, num_token_blocks=2, dropout=0.0)
        return MgcmaForEmotionClassification(config).eval()
    if name == "wavfusion":
        settings = {**tiny_settings(), "video_config": tiny_video_config()}
        config = WavFusionConfig(**settings, num_deep_layers=1, video_dim=8, auxiliary_heads=2, lvc_codewords=4)
        return WavFusionForEmotionClassification(config).eval()
    return LeMerForEmotionClassification(LeMerConfig(**tiny_settings(name))).eval()


def batches_of(model, **kwargs):
    """Batches of different sizes, lengths and missing modalities."""
    return [
        make_batch(model.config, seed=1, **kwargs),
        make_batch(model.config, frames=[40, 9, 13], padding=7, seed=2, **kwargs),
        make_batch(model.config, tokens=[5, 12, 6], frames=[8, 11, 30], no_audio=(1,), seed=3, **kwargs),
        make_batch(model.config, tokens=[3, 8, 4], frames=[25, 10, 17], no_text=(0,), seed=4, **kwargs),
    ]


def concurrently(function, items, calls=CALLS):
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(function, [items[number % len(items)] for number in range(calls)]))


@pytest.mark.parametrize("name", [*SPEECH_TYPES, "mgcma", "wavfusion"])
def test_concurrent_calls_are_right(name):
    model = make_model(name)
    batches = batches_of(model)

    def logits(batch):
        with torch.no_grad():
            return model(**batch).logits

    expected = [logits(batch) for batch in batches]
    for number, given in enumerate(concurrently(logits, batches)):
        torch.testing.assert_close(given, expected[number % len(batches)], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-conformer", "data2vec-audio", "mgcma", "wavfusion"])
def test_the_second_forward_of_checkpointing_sees_its_own_batch(name):
    """Backward runs the layers again, when other threads have long called the model with other batches."""
    model = make_model(name).train()
    for part in model.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.momentum = 0.0  # running statistics are shared by intention
    batches = batches_of(model, labels=[0, 1, 2])
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def gradients(batch):
        return torch.autograd.grad(model(**batch).loss, trained, allow_unused=True)

    expected = [gradients(batch) for batch in batches]
    checkpoint_activations(model)
    for number, given in enumerate(concurrently(gradients, batches, calls=12)):
        for one, other in zip(given, expected[number % len(batches)], strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def replicate(module):
    """A replica as DataParallel makes it: every module copied, parameters shared."""
    copies = {one: one._replicate_for_data_parallel() for one in module.modules()}
    for one, copied in copies.items():
        for name, child in one._modules.items():
            copied._modules[name] = copies.get(child)
        for name, parameter in one._parameters.items():
            setattr(copied, name, parameter) if parameter is not None else copied._parameters.update({name: None})
        copied._buffers.update(one._buffers)
    return copies[module]


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-conformer", "data2vec-audio", "mgcma", "wavfusion"])
def test_replicas_in_threads(name):
    model = make_model(name)
    batches = batches_of(model)
    with torch.no_grad():
        expected = [model(**batch).logits for batch in batches]

    def logits(numbered):
        replica, batch = numbered
        with torch.no_grad():
            return replica(**batch).logits

    items = [(replicate(model), batch) for batch in batches]
    for number, given in enumerate(concurrently(logits, items, calls=40)):
        torch.testing.assert_close(given, expected[number % len(batches)], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "wav2vec2",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("wav2vec2-conformer", "data2vec-audio", "mgcma", "wavfusion")
        ),
    ],
)
def test_one_graph(name):
    """Compiled as a whole, without a break; the same logits for batches of other lengths."""
    model = make_model(name)
    for encoder in (model.text_encoder, model.speech_encoder):
        stack = encoder.encoder
        del (stack.layers if hasattr(stack, "layers") else stack.layer)[1:]  # one layer is compiled as two are
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    for batch in batches_of(model)[:2]:
        with torch.no_grad(), torch._dynamo.config.patch(allow_rnn=name == "wavfusion"):
            torch.testing.assert_close(compiled(**batch).logits, model(**batch).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("speech_type", ["wav2vec2", "wav2vec2-conformer"])
def test_second_stage_pretraining(speech_type):
    torch.manual_seed(0)
    config = tiny_speech_config(speech_type, mask_time_prob=0.5)
    pretrainer = ContrastivePretrainer(AutoModelForPreTraining.from_config(config)).eval()
    lengths = [(800, 400), (1200, 900), (600, 600)]
    batches = [(torch.randn(2, max(pair)), (torch.arange(max(pair)) < torch.tensor(pair)[:, None]).long())
               for pair in lengths]  # fmt: skip

    def states(batch):
        with torch.no_grad():
            return pretrainer.encode(*batch).last_hidden_state

    expected = [states(batch) for batch in batches]
    for number, given in enumerate(concurrently(states, batches, calls=30)):
        torch.testing.assert_close(given, expected[number % len(batches)], rtol=0, atol=1e-5)


def test_one_pipeline_with_histories_of_many_lengths(tmp_path):
    """The tokenizer is shared too: nothing of it may be switched during a call."""
    folder, _ = save_tiny_checkpoint(tmp_path / "checkpoint")
    recognise = pipeline("multimodal-emotion-recognition", model=folder)
    turns = ["what a lovely day", "no", "who is it ?", "the report is awful", "i am so glad you came"]
    items = [
        {
            "audio": tone(0.2 + 0.1 * count, pitch=200 + count),
            "text": " ".join(turns[:count]),
            "history": turns * count,
        }
        for count in range(1, 5)
    ] + [{"text": " ".join(turns * 20)}]
    expected = [recognise(item) for item in items]
    before = recognise.processor.tokenizer.truncation_side
    for number, given in enumerate(concurrently(recognise, items, calls=40)):
        wanted = {one["label"]: one["score"] for one in expected[number % len(items)]}
        assert {one["label"]: one["score"] for one in given} == pytest.approx(wanted, abs=1e-5)
    assert recognise.processor.tokenizer.truncation_side == before
