"""Adapters of `peft`: trained, saved, loaded and merged, the model says the same."""

import pytest
import torch
from model_tester import make_batch, tiny_settings
from safetensors.torch import load_file
from transformers import AutoModel

from hf_mer.models import LeMerConfig, LeMerForEmotionClassification

peft = pytest.importorskip("peft")


@torch.no_grad()
def logits(model, batch):
    return model.eval()(**batch).logits


def test_label_embeddings_are_saved_with_an_adapter(tmp_path):
    torch.manual_seed(0)
    base = LeMerForEmotionClassification(LeMerConfig(**tiny_settings()))
    base.save_pretrained(tmp_path / "base")
    batch = make_batch(base.config, no_audio=(1,), labels=[0, 1, 2])
    saved = ["classifier", "cross_attention", "text_label_embeddings", "tonal_label_embeddings"]
    model = peft.get_peft_model(base, peft.LoraConfig(target_modules=["query", "q_proj"], modules_to_save=saved))
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=0.5)
    model.train()(**batch).loss.backward()
    optimizer.step()
    model.save_pretrained(tmp_path / "adapter")
    names = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    assert all(any(f".{part}.weight" in name for name in names) for part in saved)
    again = LeMerForEmotionClassification.from_pretrained(tmp_path / "base")
    assert not torch.allclose(logits(again, batch), logits(model, batch))
    again = peft.PeftModel.from_pretrained(again, tmp_path / "adapter")
    assert torch.equal(logits(again, batch), logits(model, batch))
    torch.testing.assert_close(logits(again.merge_and_unload(), batch), logits(model, batch))


def test_an_adapted_classifier_also_judges_utterances_without_speech():
    torch.manual_seed(0)
    config = LeMerConfig(**tiny_settings(), text_label_init="none", tonal_label_init="none", fusion="vanilla")
    base = LeMerForEmotionClassification(config)
    batch = make_batch(config, no_audio=(1,), no_text=(2,))
    model = peft.get_peft_model(base, peft.LoraConfig(target_modules=["classifier"]))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    adapted = logits(model, batch)
    torch.testing.assert_close(logits(model.merge_and_unload(), batch), adapted)


def test_an_adapter_beside_the_weights_it_is_for(tmp_path, tiny_checkpoint):
    """transformers loads it in a second step, with the keys of the adapter alone."""
    folder, model = tiny_checkpoint()
    peft.get_peft_model(model, peft.LoraConfig(target_modules=["query"])).save_pretrained(folder)
    again = AutoModel.from_pretrained(folder)
    assert [name for name, _ in again.named_parameters() if "lora_A" in name]
