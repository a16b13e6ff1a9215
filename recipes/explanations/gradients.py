"""Integrated gradients of every input of a model, by captum (`pip install "hf_mer[peers]"`)."""

from typing import Any

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerIntegratedGradients
from subject import Subject
from torch import Tensor

from hf_mer.models.places_mer import faint_noise

_SOUND = ("input_values", "input_features")


def path_integrals(subject: Subject, label: int, steps: int) -> dict[str, Any]:
    """Attributions of one utterance.

    Args:
        subject: Of a model of the package; exported ones have no gradients.
        label: Explained class.
        steps: Points on the path.

    Returns:
        What there is of `text`, one value a token `(T,)`, `words`, the processor's groups of tokens, `speech`, one a
        frame or sample of the features `(N,)`, and `video`, one a frame `(F,)`.
    """
    whole = subject.whole
    batch = subject.processor.collate(
        [whole.features], [whole.text], [whole.history], videos=[whole.pixels], return_words=True
    )
    words = batch.pop("words")[0]
    inputs = dict(batch.to(subject.model.device).to(subject.model.dtype))
    temperature = subject.model.config.temperature_of(whole.modalities)

    def log_probability(value: Tensor, changed: str) -> Tensor:
        """Of the class, for every row of a batch in which one input changes. Shape `(B,)`."""
        batch = {name: one.expand(len(value), *one.shape[1:]) for name, one in inputs.items()}
        logits = subject.model(**{**batch, changed: value}, return_dict=True).logits
        return (logits / temperature).log_softmax(-1)[:, label]

    found: dict[str, Any] = {}
    if "input_ids" in inputs:
        found["words"] = words
        embeddings = subject.model.text_encoder.get_input_embeddings()
        padding = _padding(inputs["input_ids"], words, subject.processor.tokenizer.pad_token_id)
        method = LayerIntegratedGradients(log_probability, embeddings)
        given = {"additional_forward_args": ("input_ids",), "n_steps": steps, "internal_batch_size": steps}
        found["text"] = _array(method.attribute(inputs["input_ids"], padding, **given).sum(-1)[0])
    for player, names in (("speech", _SOUND), ("video", ("pixel_values",))):
        for name in names:
            if name in inputs:
                method = IntegratedGradients(log_probability)
                given = {"additional_forward_args": (name,), "n_steps": steps, "internal_batch_size": steps}
                start = _noise(subject, name) if player == "speech" else torch.zeros_like(inputs[name])
                values = method.attribute(inputs[name], start, **given)[0]
                values = values.T if name == "input_features" and subject.processor.is_channel_first else values
                length = len(whole.features if player == "speech" else whole.pixels)
                found[player] = _array(values.reshape(len(values), -1).sum(-1)[:length])
    return found


def _padding(tokens: Tensor, words: list, pad: int) -> Tensor:
    """The same tokens with padding in the place of all that belong to words. Shape `(1, T)`."""
    empty = tokens.clone()
    places = torch.tensor([position for _, positions, _ in words for position in positions], dtype=torch.long)
    empty[0, places] = pad
    return empty


def _noise(subject: Subject, name: str) -> Tensor:
    """The input of an utterance whose sound is all removed as `explain` removes segments. Shape `(1, N, ...)`.

    Zeros would not do: most encoders of waveforms normalise, so that nothing changes along the way from silence.
    """
    noise = faint_noise(subject.utterance.sound, subject.processor.sampling_rate)
    batch = subject.processor.collate([subject.processor.features_of(noise)], [None], [None])
    return batch.to(subject.model.device).to(subject.model.dtype)[name]


def _array(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
