"""The objectives of the second stage against slow loops and against the library's own forward pass."""

import copy
import math

import pytest
import torch
from model_tester import tiny_speech_config
from transformers import AutoModel, AutoModelForPreTraining

from hf_mer.training.pretraining.masks import MaskSampler
from hf_mer.training.pretraining.models import ContrastivePretrainer, MaskedUnitPretrainer, pack, perplexity

MASKED = {"mask_time_prob": 0.5}


def contrastive(model_type="wav2vec2", **overrides):
    torch.manual_seed(0)
    config = tiny_speech_config(model_type, **MASKED, num_negatives=5, diversity_loss_weight=0.3, **overrides)
    return AutoModelForPreTraining.from_config(config).eval()


def masked_units(model_type="wav2vec2-bert", **settings):
    torch.manual_seed(0)
    model = AutoModel.from_config(tiny_speech_config(model_type, **MASKED))
    return MaskedUnitPretrainer(model, 7, **settings).eval()


def batch_of(pretrainer, lengths, seed=0, **inputs):
    """Noise of so many samples (40 a frame), or frames, with masks of its own."""
    generator = torch.Generator().manual_seed(seed)
    longest, mel = max(lengths), pretrainer.config.model_type == "wav2vec2-bert"
    audio = torch.randn(len(lengths), longest, *([160] if mel else []), generator=generator)
    mask = (torch.arange(longest) < torch.tensor(lengths)[:, None]).long()
    audio = audio * (mask.unsqueeze(-1) if mel else mask)
    frames = pretrainer.frames(audio, mask)
    negatives = pretrainer.config.num_negatives if isinstance(pretrainer, ContrastivePretrainer) else 0
    drawn = MaskSampler(0.5, 3, 1, negatives)(list(range(len(lengths))), frames.sum(1).tolist(), frames.shape[1], 1)
    batch = {("input_features" if mel else "input_values"): audio, "audio_attention_mask": mask, **drawn, **inputs}
    if isinstance(pretrainer, MaskedUnitPretrainer):
        units = torch.randint(7, frames.shape, generator=generator)
        batch["units"] = units.masked_fill(~frames, -100)
    return batch


def total(sums):
    return {name: values.sum(0) for name, values in sums.items()}


@pytest.mark.parametrize("model_type", ["wav2vec2", "wav2vec2-conformer"])
@torch.no_grad()
def test_contrastive_is_the_library_s_loss(model_type):
    """Utterances of one length, the best codebook entries: nothing is random."""
    plain = contrastive(model_type)
    pretrainer = ContrastivePretrainer(copy.deepcopy(plain)).eval()
    batch = batch_of(pretrainer, [1200, 1200, 1200])
    sums = total(pretrainer(**batch))
    mask, frames = batch["mask_time_indices"], batch["mask_time_indices"].shape[1]
    indices = torch.zeros(3, frames, 5, dtype=torch.long)
    for row in range(3):
        masked = mask[row].nonzero().squeeze(1)
        indices[row, masked] = masked[batch["negatives"][row, : len(masked)]]
        indices[row] += row * frames
    expected = plain(batch["input_values"], mask_time_indices=mask, sampled_negative_indices=indices)
    torch.testing.assert_close(sums["contrastive"], expected.contrastive_loss, rtol=1e-5, atol=1e-4)
    losses, count = pretrainer.losses(sums), mask.sum()
    assert sums["frames"] == count
    torch.testing.assert_close(losses["diversity"], expected.diversity_loss / count, rtol=1e-4, atol=1e-4)
    loss = sum(pretrainer.weights[name] * value for name, value in losses.items())
    torch.testing.assert_close(loss, expected.loss / count, rtol=1e-4, atol=1e-4)
    used = pretrainer.metrics(sums)["codebook_perplexity"]
    torch.testing.assert_close(used, expected.codevector_perplexity, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_contrastive_of_a_hand_made_case():
    """Loss and hits over plain loops: two utterances, three and two masked frames, one negative of the same code."""
    pretrainer = ContrastivePretrainer(contrastive(contrastive_logits_temperature=0.5))
    generator = torch.Generator().manual_seed(1)
    predictions, targets = torch.randn(2, 3, 4, generator=generator), torch.randn(2, 3, 4, generator=generator)
    codes = torch.tensor([[4, 2, 4], [1, 3, 0]])
    negatives = torch.tensor([[[1, 2], [0, 2], [1, 1]], [[1, 1], [0, 0], [0, 0]]])
    logits = pretrainer.logits(predictions, targets, codes, negatives)
    for row, count in ((0, 3), (1, 2)):
        for frame in range(count):
            choices = [frame] + [n for n in negatives[row, frame].tolist() if codes[row, n] != codes[row, frame]]
            scores = [
                float(
                    predictions[row, frame] @ targets[row, n] / predictions[row, frame].norm() / targets[row, n].norm()
                )
                for n in choices
            ]
            expected = -math.log(math.exp(scores[0] / 0.5) / sum(math.exp(score / 0.5) for score in scores))
            assert -logits[row, frame].log_softmax(-1)[0].item() == pytest.approx(expected, abs=1e-5)
    assert logits[0, 0, 2] == float("-inf")  # frame 2 has the code of frame 0


@pytest.mark.parametrize("model_type", ["wav2vec2", "wav2vec2-conformer", "wav2vec2-bert", "hubert"])
@torch.no_grad()
def test_sums_do_not_depend_on_the_batch(model_type):
    if model_type.startswith("wav2vec2") and model_type != "wav2vec2-bert":
        pretrainer = ContrastivePretrainer(contrastive(model_type))
    else:
        pretrainer = masked_units(model_type, unmasked_weight=0.5)
    pretrainer.eval()
    lengths = [20, 13, 6] if model_type == "wav2vec2-bert" else [1200, 700, 330]
    batch = batch_of(pretrainer, lengths)
    together = pretrainer(**batch)
    for row, length in enumerate(lengths):
        alone = {name: values[row : row + 1] for name, values in batch.items()}
        frames = int(pretrainer.frames(batch[next(iter(batch))], batch["audio_attention_mask"])[row].sum())
        for name, end in {next(iter(batch)): length, "audio_attention_mask": length}.items():
            alone[name] = alone[name][:, :end]
        for name in ("mask_time_indices", "units"):
            if name in alone:
                alone[name] = alone[name][:, :frames]
        for name, values in pretrainer(**alone).items():
            torch.testing.assert_close(together[name][row], values[0], rtol=1e-4, atol=1e-4)


def test_contrastive_training_reaches_every_part():
    pretrainer = ContrastivePretrainer(contrastive(feat_quantizer_dropout=0.0)).train()
    batch = batch_of(pretrainer, [1200, 700])
    sums = total(pretrainer(**batch, gumbel_temperature=2.0))
    losses = pretrainer.losses(sums)
    sum(pretrainer.weights[name] * value for name, value in losses.items()).backward()
    idle = [name for name, parameter in pretrainer.named_parameters() if parameter.grad is None]
    assert not idle
    assert all(parameter.grad.isfinite().all() for parameter in pretrainer.parameters())
    assert pretrainer.pretrained.quantizer.codevectors.grad.abs().sum() > 0
    assert 0 < losses["diversity"] < 1
    assert sums["choices"].shape == (2, 6)
    torch.testing.assert_close(sums["choices"].sum(-1), sums["frames"].expand(2).float())


def test_choices_of_a_high_temperature_are_noise():
    pretrainer = ContrastivePretrainer(contrastive()).train()
    features = torch.randn(1, 8).expand(400, 8)
    with torch.no_grad():
        cold = [len(pretrainer.quantise(features, temperature)[1].unique()) for temperature in (1e-3, 2.0)]
        assert len(pretrainer.eval().quantise(features, 2.0)[1].unique()) == 1
    assert min(cold) > 1  # Gumbel noise chooses by the scores at every temperature, which softens the gradient only
    probabilities = pretrainer.quantise(features, 1.0)[2]
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(400, 2))


@torch.no_grad()
def test_masked_units_over_a_loop():
    pretrainer = masked_units(temperature=0.2, unmasked_weight=0.5)
    batch = batch_of(pretrainer, [20, 13])
    sums = pretrainer(**batch)
    outputs = pretrainer.encode(batch["input_features"], batch["audio_attention_mask"], batch["mask_time_indices"])
    expected = {"masked_units": [0.0, 0.0], "unmasked_units": [0.0, 0.0], "correct": [0, 0]}
    for row, length in ((0, 20), (1, 13)):
        for frame in range(length):
            state = pretrainer.projection(outputs.last_hidden_state[row, frame])
            scores = [float(state @ unit / state.norm() / unit.norm()) / 0.2 for unit in pretrainer.unit_embeddings]
            unit = int(batch["units"][row, frame])
            loss = math.log(sum(math.exp(score) for score in scores)) - scores[unit]
            masked = bool(batch["mask_time_indices"][row, frame])
            expected["masked_units" if masked else "unmasked_units"][row] += loss
            expected["correct"][row] += masked and scores.index(max(scores)) == unit
    for name, values in expected.items():
        assert sums[name].tolist() == pytest.approx(values, abs=1e-3)
    losses = pretrainer.losses(total(sums))
    count = batch["mask_time_indices"].sum().item()
    assert losses["unmasked_units"].item() == pytest.approx(sum(expected["unmasked_units"]) / count, abs=1e-4)
    assert pretrainer.weights == {"masked_units": 1.0, "unmasked_units": 0.5}


@torch.no_grad()
def test_the_masked_frames_are_hidden_and_the_others_count_for_nothing():
    pretrainer = masked_units()
    batch = batch_of(pretrainer, [20, 13])
    before = pretrainer(**batch)
    masked = batch["mask_time_indices"]
    audible = {**batch, "input_features": batch["input_features"] + 5 * masked.unsqueeze(-1)}
    torch.testing.assert_close(pretrainer(**audible), before)
    elsewhere = {**batch, "units": torch.where(masked | (batch["units"] < 0), batch["units"], 0)}
    torch.testing.assert_close(pretrainer(**elsewhere), before)
    wrong = {**batch, "units": torch.where(masked, (batch["units"] + 1) % 7, batch["units"])}
    assert not torch.allclose(pretrainer(**wrong)["masked_units"], before["masked_units"])


def test_nothing_masked_is_no_loss():
    pretrainer = masked_units()
    batch = batch_of(pretrainer, [20, 13])
    batch["mask_time_indices"] = torch.zeros_like(batch["mask_time_indices"])
    losses = pretrainer.losses(total(pretrainer(**batch)))
    assert losses["masked_units"] == 0


def test_pack():
    packed = pack(torch.tensor([1, 2, 3]), torch.tensor([2, 0, 1]), 2)
    assert packed.tolist() == [[1, 2], [0, 0], [3, 0]]


def test_perplexity():
    probabilities = torch.tensor([[0.25, 0.25, 0.25, 0.25], [1.0, 0, 0, 0], [0.5, 0.5, 0, 0]])
    torch.testing.assert_close(perplexity(probabilities), torch.tensor([4.0, 1, 2]), atol=1e-4, rtol=0)
