"""The two self-supervised objectives around a speech encoder: sums per utterance in `forward`, losses of any batch."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hf_mer.models.mer_encoders import EncodersMixin

UNIT_WIDTH = 256  # of the space that frames and units are compared in, at most (HuBERT base)


class SpeechPretrainer(EncodersMixin, nn.Module):
    """A speech encoder, blind to padding, in training without labels.

    `forward` gives sums over the masked frames of every utterance; `losses` turns their total over any number of
    batches and processes into the losses of all these utterances together. What decides a loss can thus be joined over
    processes first, and the loss does not depend on how the utterances lie in batches.

    Attributes:
        pretrained: The model that is trained and saved.
        perplexity_name: What the perplexity is of.
        weights: Of the losses by name.
    """

    accepts_loss_kwargs = True
    perplexity_name = "perplexity"
    weights: dict[str, float]

    def __init__(self, pretrained: Any):
        super().__init__()
        self.pretrained: Any = pretrained
        self.config = pretrained.config
        self.guard_padding()

    @property
    def speech_encoder(self) -> Any:
        """The bare encoder."""
        return self.pretrained.base_model

    def activation_checkpointing_enable(self, **kwargs: Any) -> None:
        """As of the encoder; `Trainer` calls it."""
        self.pretrained.activation_checkpointing_enable(**kwargs)

    def frames(self, audio: Tensor, audio_attention_mask: Tensor) -> Tensor:
        """Real frames of the encoder. Shape `(B, S)`."""
        return self.speech_frames(audio, audio_attention_mask).encoded

    def encode(self, audio: Tensor, audio_attention_mask: Tensor, mask: Tensor | None = None, **kwargs: Any) -> Any:
        """The encoder's outputs, with the masked frames replaced at its input by the learned embedding.

        Args:
            audio: Samples `(B, N)` or log-mel frames `(B, S, F)`.
            audio_attention_mask: 1 for real ones. Shape `(B, N)` or `(B, S)`.
            mask: True for masked frames; none if not given. Shape `(B, S)`.
            **kwargs: Of the encoder.
        """
        frames = self.speech_frames(audio, audio_attention_mask)
        mask = torch.zeros_like(frames.encoded) if mask is None else mask
        return self.run_speech_encoder(audio, frames, mask_time_indices=mask, **kwargs)

    def losses(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses, means over masked frames, of what `forward` gave, summed over utterances."""
        raise NotImplementedError

    def metrics(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """Share of the masked frames that are recognised, and perplexity of what is chosen, summed over groups."""
        frames = sums["frames"].clamp(min=1)
        choices = perplexity(sums["choices"] / frames).sum()
        return {"masked_accuracy": sums["correct"] / frames, self.perplexity_name: choices}


class ContrastivePretrainer(SpeechPretrainer):
    """The objective of wav2vec 2.0: which of the utterance's quantised frames is the masked one?

    `L_m = -log exp(sim(c_t, q_t) / kappa) / sum_{q in Q_t} exp(sim(c_t, q) / kappa)`, with `Q_t` of `q_t` and K
    negatives from other masked frames of the utterance; a negative of the same code as `q_t` does not count. `L_d
    = 1 - sum_g perplexity(mean choice of group g) / (G V)`, over all masked frames of all processes. `L = L_m + alpha
    L_d`.

    Source: Baevski et al., 2020, equations 2 to 4; `L_d` in the form of its authors' code.

    Args:
        pretrained: A `...ForPreTraining` model with a quantizer.
    """

    perplexity_name = "codebook_perplexity"

    def __init__(self, pretrained: Any):
        super().__init__(pretrained)
        self.groups, self.entries = pretrained.quantizer.num_groups, pretrained.quantizer.num_vars
        self.weights = {"contrastive": 1.0, "diversity": self.config.diversity_loss_weight}

    def forward(
        self,
        input_values: Tensor,
        audio_attention_mask: Tensor,
        mask_time_indices: Tensor,
        negatives: Tensor,
        gumbel_temperature: float = 1.0,
    ) -> dict[str, Tensor]:
        """Sums over the masked frames of every utterance.

        Args:
            input_values: Samples. Shape `(B, N)`.
            audio_attention_mask: 1 for real samples. Shape `(B, N)`.
            mask_time_indices: True for masked frames. Shape `(B, S)`.
            negatives: Of `MaskSampler`, counted among the utterance's masked frames. Shape `(B, M, K)`.
            gumbel_temperature: Of the codebook's choice; in evaluation the best entry is taken.

        Returns:
            `contrastive`, `correct` and `frames`, shape `(B,)`, and `choices`, the chosen entries' probabilities,
            shape `(B, G, V)`.
        """
        model, mask = self.pretrained, mask_time_indices
        outputs = self.encode(input_values, audio_attention_mask, mask)
        features = model.dropout_features(outputs.extract_features)[mask]  # (all masked, D_conv)
        quantised, codes, probabilities = self.quantise(features, gumbel_temperature)
        counts = mask.sum(dim=1)  # (B,)
        predictions, targets, codes, probabilities = (
            pack(values, counts, negatives.shape[1])  # (B, M, ...)
            for values in (model.project_hid(outputs.last_hidden_state[mask]), quantised, codes, probabilities)
        )
        logits = self.logits(predictions, targets, codes, negatives)  # (B, M, 1 + K)
        real = torch.arange(negatives.shape[1], device=counts.device) < counts[:, None]  # (B, M)
        loss = -logits.log_softmax(dim=-1)[..., 0]
        distractors = logits[..., 1:].amax(dim=-1)
        correct = (logits[..., 0] > distractors) & distractors.isfinite()  # without a distractor nothing is recognised
        return {
            "contrastive": (loss * real).sum(dim=1),
            "correct": (correct & real).sum(dim=1),
            "frames": counts,
            "choices": probabilities.sum(dim=1),
        }

    def quantise(self, features: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
        """The codebook's choice for every frame.

        The library's quantizer says no codes, and rounds in the straight-through step, so that equal choices are not
        equal vectors; the parameters are its own.

        Args:
            features: Normalised output of the convolutions. Shape `(M, D_conv)`.
            temperature: Of the Gumbel softmax in training.

        Returns:
            quantised: `q`, projected. Shape `(M, D)`.
            codes: One number for the choices of all groups. Shape `(M,)`.
            probabilities: Of the entries, without noise; in evaluation the choice itself. Shape `(M, G, V)`.
        """
        model, quantizer = self.pretrained, self.pretrained.quantizer
        scores = quantizer.weight_proj(features).unflatten(-1, (self.groups, self.entries)).float()
        if self.training:
            choice = functional.gumbel_softmax(scores, tau=temperature, hard=True)
            probabilities = scores.softmax(dim=-1)
        else:
            choice = probabilities = functional.one_hot(scores.argmax(dim=-1), self.entries).to(scores.dtype)
        table = quantizer.codevectors.view(self.groups, self.entries, -1)
        vectors = torch.einsum("mgv,gvd->mgd", choice.to(table.dtype), table).flatten(1)
        powers = self.entries ** torch.arange(self.groups, device=features.device)
        return model.project_q(vectors), (choice.argmax(dim=-1) * powers).sum(dim=-1), probabilities

    def logits(self, predictions: Tensor, targets: Tensor, codes: Tensor, negatives: Tensor) -> Tensor:
        """`sim(c_t, q) / kappa` of the masked frame's own target (first) and its negatives. Shape `(B, M, 1 + K)`."""
        predictions = functional.normalize(predictions.float(), dim=-1, eps=1e-8)
        targets = functional.normalize(targets.float(), dim=-1, eps=1e-8)
        similarity = predictions @ targets.transpose(1, 2)  # (B, M, M): negatives are of the same utterance
        chosen = similarity.gather(2, negatives)  # (B, M, K)
        same = codes.gather(1, negatives.flatten(1)).view_as(negatives) == codes.unsqueeze(-1)
        own = similarity.diagonal(dim1=1, dim2=2).unsqueeze(-1)
        logits = torch.cat([own, chosen.masked_fill(same, float("-inf"))], dim=-1)
        return logits / self.config.contrastive_logits_temperature

    def losses(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """`contrastive` and `diversity`."""
        frames = sums["frames"].clamp(min=1)
        used = perplexity(sums["choices"] / frames).sum()
        return {"contrastive": sums["contrastive"] / frames, "diversity": 1 - used / (self.groups * self.entries)}


class MaskedUnitPretrainer(SpeechPretrainer):
    """The objective of HuBERT: which unit is the masked frame?

    `p(u | t) = softmax_u(cos(A h_t, e_u) / tau)`, cross-entropy over masked frames, and over the others with a weight;
    both sums are divided by the number of masked frames, as HuBERT's code does.

    Source: Hsu et al., 2021, equations 1 to 3.

    Args:
        pretrained: A bare encoder.
        num_units: Units.
        temperature: `tau`, 0.1 in the paper.
        unmasked_weight: Weight of the frames that are not masked.
    """

    perplexity_name = "unit_perplexity"

    def __init__(self, pretrained: Any, num_units: int, temperature: float = 0.1, unmasked_weight: float = 0.0):
        super().__init__(pretrained)
        width = self.config.hidden_size
        self.projection = nn.Linear(width, min(UNIT_WIDTH, width))
        self.unit_embeddings = nn.Parameter(torch.rand(num_units, self.projection.out_features) * 2 - 1)
        self.temperature = temperature
        self.weights = {"masked_units": 1.0}
        if unmasked_weight:
            self.weights["unmasked_units"] = unmasked_weight

    def forward(
        self,
        audio_attention_mask: Tensor,
        mask_time_indices: Tensor,
        units: Tensor,
        input_values: Tensor | None = None,
        input_features: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Sums over the frames of every utterance.

        Args:
            audio_attention_mask: 1 for real samples or frames. Shape `(B, N)` or `(B, S)`.
            mask_time_indices: True for masked frames. Shape `(B, S)`.
            units: Unit of every frame, -100 at padding. Shape `(B, S)`.
            input_values: Samples. Shape `(B, N)`.
            input_features: Log-mel frames. Shape `(B, S, F)`.

        Returns:
            `masked_units`, `correct`, `frames` and, where they weigh anything, `unmasked_units`, shape `(B,)`, and
            `choices`, the units' probabilities at masked frames, shape `(B, 1, V)`.
        """
        audio: Any = input_values if input_values is not None else input_features
        mask = mask_time_indices
        hidden = self.encode(audio, audio_attention_mask, mask).last_hidden_state
        logits = self.logits(hidden)  # (B, S, V)
        loss = functional.cross_entropy(logits.transpose(1, 2), units, reduction="none")  # (B, S), 0 at padding
        sums = {
            "masked_units": (loss * mask).sum(dim=1),
            "correct": ((logits.argmax(dim=-1) == units) & mask).sum(dim=1),
            "frames": mask.sum(dim=1),
            "choices": (logits.detach().softmax(dim=-1) * mask.unsqueeze(-1)).sum(dim=1).unsqueeze(1),
        }
        if "unmasked_units" in self.weights:
            sums["unmasked_units"] = (loss * ~mask).sum(dim=1)
        return sums

    def logits(self, hidden: Tensor) -> Tensor:
        """Cosine of every frame and every unit, divided by the temperature. `(B, S, D)` to `(B, S, V)`."""
        frames = functional.normalize(self.projection(hidden).float(), dim=-1)
        return frames @ functional.normalize(self.unit_embeddings.float(), dim=-1).T / self.temperature

    def losses(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """`masked_units`, and `unmasked_units` where these weigh anything."""
        return {name: sums[name] / sums["frames"].clamp(min=1) for name in self.weights}


def pack(values: Tensor, counts: Tensor, longest: int) -> Tensor:
    """Rows one after another to a padded batch: `(sum of counts, ...)` to `(B, longest, ...)`, padded with 0."""
    packed = values.new_zeros(len(counts), longest, *values.shape[1:])
    packed[torch.arange(longest, device=counts.device) < counts[:, None]] = values
    return packed


def perplexity(probabilities: Tensor) -> Tensor:
    """`exp` of the entropy over the last axis: the number of entries that are used as if all were equally likely."""
    logarithms = (probabilities + 1e-7).log()  # an entry that nobody chooses would have an infinite gradient
    return torch.exp(-(probabilities * logarithms).sum(dim=-1))
