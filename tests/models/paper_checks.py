"""What each paper's own model must do beside what every configuration of it must: see `variant_checks`."""

import copy

import pytest
import torch
from model_tester import gradients, make_batch, rows_of
from safetensors.torch import load_file, save_file
from transformers import AutoModel, PreTrainedModel
from variant_checks import MerEncoderTests

from hf_mer.models.mer_embeddings import BARE_NAMES


class MerModelTests(MerEncoderTests):
    """Inherited by the tests of each paper's model, once: labels, forms of output, learning by heart."""

    def test_deterministic_in_evaluation(self):
        model = self.make_model()
        batch = make_batch(model.config)
        assert torch.equal(self.logits(model, batch), self.logits(model, batch))
        assert torch.equal(self.logits(copy.deepcopy(model), batch), self.logits(model, batch))

    @pytest.mark.parametrize("implementation", ["eager", "sdpa"])
    def test_loads_with_an_attention_implementation(self, implementation, tmp_path):
        model = self.make_model()
        model.save_pretrained(tmp_path)
        again = self.model_class.from_pretrained(tmp_path, attn_implementation=implementation)
        batch = make_batch(model.config)
        torch.testing.assert_close(self.logits(again, batch), self.logits(model, batch), rtol=0, atol=self.tolerance)

    def test_asking_for_attention_does_not_change_the_logits(self):
        model = self.make_model()
        batch = make_batch(model.config)
        with torch.no_grad():
            asked = model(**batch, output_attentions=True).logits
        torch.testing.assert_close(asked, self.logits(model, batch), rtol=0, atol=self.tolerance)

    def test_an_unlabelled_utterance_adds_nothing_to_the_label_losses(self):
        model = self.make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        before = model(**{**batch, "labels": torch.tensor([0, -100, -100])}).losses["classification"]
        alone = model(**rows_of(batch, 0)).losses["classification"]
        torch.testing.assert_close(before, alone)

    def losses(self, labels, **overrides):
        model = self.make_model(**overrides)
        with torch.no_grad():
            return model(**make_batch(model.config, no_text=(1,)), labels=labels).losses

    def test_soft_and_one_hot_labels_are_those_of_class_indices(self):
        """Also where an utterance has no text, and none has a label of its own."""
        hard = self.losses(torch.tensor([2, 1, -100]))
        one_hot = torch.zeros(3, 4, dtype=torch.long)
        one_hot[0, 2] = one_hot[1, 1] = 1
        one_hot[2] = -100
        for labels in (one_hot, one_hot.float(), one_hot.bfloat16()):
            soft = self.losses(labels)
            assert soft.keys() == hard.keys()
            for name in hard:
                torch.testing.assert_close(soft[name], hard[name], rtol=0, atol=1e-6, msg=name)

    def test_shares_of_classes_weigh_the_losses(self):
        one, other = torch.tensor([2, 1, 0]), torch.tensor([3, 0, 0])
        shares = 0.75 * torch.eye(4)[one] + 0.25 * torch.eye(4)[other]
        found, first, second = self.losses(shares), self.losses(one), self.losses(other)
        for name in found:
            if name != "margin":  # which compares classes: those of the largest shares
                torch.testing.assert_close(found[name], 0.75 * first[name] + 0.25 * second[name])
            else:
                assert found[name] == first[name]

    def test_smoothing_and_weights_are_of_every_cross_entropy_with_labels(self):
        """In evaluation as in training; the losses that know no classes stay."""
        labels, weights = torch.tensor([2, 1, 0]), [0.5, 2.0, 1.0, 3.0]
        options = {"label_smoothing": 0.1, "class_weights": weights}
        plain, found = self.losses(labels), self.losses(labels, **options)
        with_labels = {name for name in plain if name == "classification" or name.endswith("_label")}
        assert {name for name in plain if not torch.equal(found[name], plain[name])} == with_labels
        model = self.make_model(**options)
        logits = self.logits(model, make_batch(model.config, no_text=(1,)))
        expected = torch.nn.functional.cross_entropy(logits, labels, torch.tensor(weights), label_smoothing=0.1)
        torch.testing.assert_close(found["classification"], expected)
        one_hot = self.losses(torch.eye(4)[labels], **options)
        for name in with_labels:
            torch.testing.assert_close(one_hot[name], found[name])

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ([1.0, 2.0], r"class_weights=\[1.0, 2.0\] must be 4 numbers, one for each of"),
            ([1.0, 0.0, 1.0, 1.0], r"class_weights=0.0 must be positive"),
            ([1.0, float("nan"), 1.0, 1.0], "class_weights=nan must be a finite number"),
        ],
    )
    def test_weights_that_are_none_are_refused(self, weights, message):
        with pytest.raises(ValueError, match=message):
            self.make_config(class_weights=weights)

    @pytest.mark.parametrize(
        ("prior", "message"),
        [
            ([0.5, 0.5], r"class_prior=\[0.5, 0.5\] must be 4 numbers, one for each of"),
            ([0.0, 0.5, 0.25, 0.25], r"class_prior=0.0 must be positive"),
            ([0.1, 0.2, 0.3, 0.3], r"class_prior=.* must sum to 1, and sums to 0.9$"),
            ([float("nan"), 0.5, 0.25, 0.25], r"class_prior=nan must be a finite number"),
        ],
    )
    def test_a_prior_that_is_none_is_refused(self, prior, message):
        with pytest.raises(ValueError, match=message):
            self.make_config(class_prior=prior)

    def test_the_prior_goes_with_its_classes(self):
        config = self.make_config(class_prior=[0.1, 0.2, 0.3, 0.4])
        assert type(config).from_dict(config.to_dict()).class_prior == [0.1, 0.2, 0.3, 0.4]
        renamed = dict(enumerate("abcd"))
        for others in ({"num_labels": 3}, {"id2label": {0: "calm", 1: "loud"}}, {"id2label": renamed}):
            assert type(config).from_dict(config.to_dict(), **others).class_prior is None
        config.id2label = dict(config.id2label)
        assert config.class_prior == [0.1, 0.2, 0.3, 0.4]
        config.num_labels = 3
        assert config.class_prior is None

    def test_a_checkpoint_with_a_prior_is_loaded_for_other_classes(self, tmp_path):
        model = self.make_model(class_prior=[0.1, 0.2, 0.3, 0.4])
        model.save_pretrained(tmp_path)
        again = AutoModel.from_pretrained(tmp_path, num_labels=3, ignore_mismatched_sizes=True)
        assert again.config.class_prior is None
        assert again.config.num_labels == 3

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (torch.tensor([0, 4, 1]), r"4 in row 1 .* from 0 to 3 of shape \(3,\)"),
            (torch.tensor([0, -1, 1]), "-1 in row 1"),
            (torch.tensor([0.0, 1.0, 2.0]), r"torch.float32, no class indices"),
            (torch.tensor([True, False, True]), r"torch.bool, no class indices"),
            (torch.tensor([[0], [1], [2]]), r"shape \(3, 1\)"),
            (torch.tensor([0, 1]), r"shape \(2,\)"),
            (torch.zeros(3, 5), r"shape \(3, 5\).*\(3, 4\)"),
            (torch.ones(3, 4), r"row 0 .* \[1.0, 1.0, 1.0, 1.0\].*add up to 1"),
            (torch.tensor([[1.0, 0, 0, 0], [1.5, -0.5, 0, 0], [1, 0, 0, 0]]), "row 1"),
            (torch.tensor([[1.0, 0, 0, 0], [float("nan"), 1, 0, 0], [1, 0, 0, 0]]), "row 1"),
        ],
    )
    def test_labels_that_are_none_are_refused(self, labels, message):
        with pytest.raises(ValueError, match=message):
            self.losses(labels)

    def test_the_configuration_says_what_is_returned(self, tmp_path):
        config = self.make_config(output_hidden_states=True, return_dict=False)
        config.output_attentions = True
        model = self.model_class(config).eval()
        assert isinstance(model(**make_batch(config)), tuple)
        model.save_pretrained(tmp_path)
        model = self.model_class.from_pretrained(tmp_path, attn_implementation="eager")
        batch = make_batch(model.config)
        assert isinstance(model(**batch), tuple)
        output = model(**batch, return_dict=True)
        assert output.hidden_states is not None
        assert [name for name in output if name.endswith("_mask")]
        if not {"text", "speech"}.isdisjoint(model.config.modalities):
            assert [name for name in output if name.endswith("_attentions")]
        asked = model(**batch, return_dict=True, output_hidden_states=False, output_attentions=False)
        assert not [name for name in asked if name.endswith(("hidden_states", "attentions", "mask"))]

    def test_tuple_output(self):
        model = self.make_model()
        batch = make_batch(model.config, labels=[0, 1, 2])
        loss, logits = model(**batch, return_dict=False)[:2]
        torch.testing.assert_close(logits, model(**batch).logits)
        assert loss.dim() == 0

    def test_learns_eight_utterances_by_heart(self):
        model = self.make_model().train()
        batch = make_batch(
            model.config,
            tokens=[5, 7, 4, 6, 8, 5, 7, 6],
            frames=[8, 12, 10, 9, 14, 8, 11, 10],
            labels=[0, 1, 2, 3] * 2,
        )
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
        for step in range(150):
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % 10 == 9 and (self.logits(model.eval(), batch).argmax(-1) == batch["labels"]).all():
                break
            model.train()
        model.eval()
        assert self.logits(model, batch).argmax(-1).tolist() == batch["labels"].tolist()

    def test_nothing_to_classify(self):
        with pytest.raises(ValueError, match="needs.*remove_unused_columns=False.*MerDataCollator"):
            self.make_model()()

    def test_checkpoints_from_before_learned_vectors_were_modules(self, tmp_path):
        """They name the same tensors without `.weight`, and load by every way; what is saved then has today's names."""
        model = self.make_model()
        batch = make_batch(model.config, no_audio=(1,) if model.config.is_multimodal else ())
        model.save_pretrained(tmp_path)
        today = load_file(tmp_path / "model.safetensors")
        once = {
            name.removesuffix(".weight") if name.startswith(BARE_NAMES) else name: tensor
            for name, tensor in today.items()
        }
        save_file(once, tmp_path / "model.safetensors", metadata={"format": "pt"})
        again, info = self.model_class.from_pretrained(tmp_path, output_loading_info=True)
        assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        torch.testing.assert_close(self.logits(again, batch), self.logits(model, batch), rtol=0, atol=1e-6)
        again.save_pretrained(tmp_path / "again")
        assert load_file(tmp_path / "again" / "model.safetensors").keys() == today.keys()
        other = self.model_class(model.config).eval()
        other.load_state_dict(once)
        torch.testing.assert_close(self.logits(other, batch), self.logits(model, batch), rtol=0, atol=1e-6)

    @pytest.mark.parametrize("part", ["text_encoder", "speech_encoder", "video_encoder", "label_embeddings"])
    def test_frozen_parts_get_no_gradient(self, part, tmp_path):
        model = self.make_model()
        names = [name for name, _ in model.named_parameters() if part in name]
        if not names:
            pytest.skip(f"no {part}")
        model = self.make_model(freeze=[part])
        model.save_pretrained(tmp_path)
        for candidate in (model, self.model_class.from_pretrained(tmp_path)):
            candidate.train()
            candidate(**make_batch(model.config, labels=[0, 1, 2])).loss.backward()
            got = set(gradients(candidate))
            assert not [name for name in names if name in got]
            assert got
            if part.endswith("encoder"):
                assert not getattr(candidate, part).training
                assert candidate.training

    def test_weights_that_no_file_holds_begin_as_new_ones_do(self, monkeypatch):
        """Each module with the same random numbers: from memory without content, and in `__init__`."""
        initialise = PreTrainedModel._initialize_weights

        def seeded(*args, **kwargs):
            torch.manual_seed(0)
            initialise(*args, **kwargs)

        monkeypatch.setattr(PreTrainedModel, "_initialize_weights", seeded)
        config = self.make_config()
        new = self.model_class(copy.deepcopy(config)).state_dict()
        loaded = self.model_class.from_pretrained(None, config=copy.deepcopy(config), state_dict={}).state_dict()
        assert new.keys() == loaded.keys()
        for name, weight in new.items():
            if ".parametrizations." in name:  # drawn by PyTorch itself
                torch.testing.assert_close(loaded[name].mean(), weight.mean(), rtol=0.1, atol=0.01, msg=name)
                torch.testing.assert_close(loaded[name].std(), weight.std(), rtol=0.3, atol=0.0, msg=name)
            else:
                assert torch.equal(loaded[name], weight), name
