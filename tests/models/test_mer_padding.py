import copy

import pytest
import torch
from model_tester import tiny_speech_config
from torch import nn
from transformers import AutoModel

from hf_mer.models.mer_padding import (
    MaskedAudio,
    MaskedConformerLayer,
    guard_padding,
    masked_batch_norm,
    masked_group_norm,
)


def tiny_encoder(model_type, **overrides):
    torch.manual_seed(0)
    encoder = AutoModel.from_config(tiny_speech_config(model_type, **overrides)).eval()
    with torch.no_grad():  # trained norms have statistics of their own
        for name, buffer in encoder.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.5)
    return encoder


class TestNorms:
    def test_group_norm_per_row_as_the_librarys_without_padding(self):
        norm = nn.GroupNorm(4, 4)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
        states = torch.randn(2, 4, 9) + 0.5
        given = masked_group_norm(states, norm, torch.tensor([9, 5]))
        torch.testing.assert_close(given[0], norm(states[:1])[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(given[1, :, :5], norm(states[1:, :, :5])[0], rtol=1e-4, atol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(masked_group_norm(states, norm, torch.tensor([9, 5])), given)

    def test_group_norm_gradients_are_the_formulas(self):
        """Its backward is written by hand; autograd on the plain formula is the reference, padding included."""
        norm, lengths = nn.GroupNorm(4, 4), torch.tensor([9, 5])
        nn.init.normal_(norm.weight)
        states = (torch.randn(2, 4, 9) + 0.5).requires_grad_()
        real = (torch.arange(9) < lengths[:, None])[:, None].float()  # (B, 1, L)
        count = lengths[:, None, None]
        mean = (states * real).sum(-1, keepdim=True) / count
        variance = ((states - mean).square() * real).sum(-1, keepdim=True) / count
        scale = norm.weight[:, None] / (variance + norm.eps).sqrt()
        expected = (states * real - mean) * scale + norm.bias[:, None]
        inputs, upstream = (states, norm.weight, norm.bias), torch.randn(2, 4, 9)
        given = masked_group_norm(states.clone(), norm, lengths)
        torch.testing.assert_close(given, expected)
        torch.testing.assert_close(
            torch.autograd.grad(given, inputs, upstream), torch.autograd.grad(expected, inputs, upstream)
        )

    @torch.no_grad()
    def test_group_norm_without_gradients_needs_no_room(self):
        norm, lengths = nn.GroupNorm(4, 4), torch.tensor([9, 5])
        nn.init.normal_(norm.weight)
        states = torch.randn(2, 4, 9) + 0.5
        with torch.enable_grad():
            expected = masked_group_norm(states.clone(), norm, lengths)
        given = masked_group_norm(states, norm, lengths)
        assert given.data_ptr() == states.data_ptr()
        torch.testing.assert_close(given, expected)

    def test_batch_norm_in_training_as_the_librarys_on_real_frames(self):
        norm, plain = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        states = torch.randn(2, 3, 6) * 2 + 1
        mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
        given, expected = masked_batch_norm(states, norm, mask), plain(torch.cat([states[0].T, states[1].T[:4]]))
        torch.testing.assert_close(torch.cat([given[0].T, given[1].T[:4]]), expected)
        torch.testing.assert_close(norm.running_var, plain.running_var)
        torch.testing.assert_close(masked_batch_norm(states, norm.eval(), mask), plain.eval()(states))


KINDS = {
    "group norm": ("wav2vec2", {}),
    "layer norm": ("wav2vec2", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "conformer": ("wav2vec2-conformer", {}),
    "rotary conformer": ("wav2vec2-conformer", {"position_embeddings_type": "rotary"}),
    "several positional convolutions": ("data2vec-audio", {}),
    "batch norm before the positions": ("hubert", {"conv_pos_batch_norm": True}),
    "wavlm": ("wavlm", {}),
}


@pytest.mark.parametrize("kind", list(KINDS))
class TestGuardedEncoders:
    def test_as_the_plain_one_without_padding(self, kind):
        encoder = tiny_encoder(KINDS[kind][0], **KINDS[kind][1])
        audio = torch.randn(2, 480)
        plain = encoder(audio).last_hidden_state
        names = set(encoder.state_dict())
        guard_padding(encoder)
        guard_padding(encoder)  # again is harmless
        guarded = encoder(MaskedAudio(audio, torch.tensor([480, 480])), attention_mask=torch.ones(2, 480).long())
        torch.testing.assert_close(guarded.last_hidden_state, plain, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(encoder(audio).last_hidden_state, plain, rtol=1e-4, atol=1e-5)
        assert set(encoder.state_dict()) == names

    def test_padding_changes_nothing(self, kind):
        encoder = tiny_encoder(KINDS[kind][0], **KINDS[kind][1])
        guard_padding(encoder)
        audio, lengths = torch.randn(2, 480), torch.tensor([480, 300])
        audio[1, 300:] = 0
        mask = (torch.arange(480) < lengths[:, None]).long()
        together = encoder(MaskedAudio(audio, lengths), attention_mask=mask).last_hidden_state[1]
        alone = encoder(MaskedAudio(audio[1:, :300], lengths[1:]), attention_mask=mask[1:, :300]).last_hidden_state[0]
        torch.testing.assert_close(together[: len(alone)], alone, rtol=0, atol=1e-5)

    def test_copies(self, kind):
        encoder = tiny_encoder(KINDS[kind][0], **KINDS[kind][1])
        guard_padding(encoder)
        audio = torch.randn(1, 480)
        torch.testing.assert_close(copy.deepcopy(encoder)(audio).last_hidden_state, encoder(audio).last_hidden_state)


def test_hidden_states_and_attentions_of_a_guarded_conformer():
    encoder = tiny_encoder("wav2vec2-conformer", attn_implementation="eager")
    guard_padding(encoder)
    assert all(isinstance(layer, MaskedConformerLayer) for layer in encoder.encoder.layers)
    output = encoder(torch.randn(1, 480), output_hidden_states=True, output_attentions=True)
    assert len(output.hidden_states) == 3
    assert len(output.attentions) == 2
