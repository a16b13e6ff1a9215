"""Augmentation of log-mel frames in training: SpecAugment, and small changes of vocal tract and tempo."""

from typing import Any

import numpy as np

SPEC_AUGMENT_KEYS = ("time_masks", "time_frames", "frequency_masks", "frequency_bins", "shift_bins", "stretch")


def augment_log_mel(
    features: np.ndarray, stride: int, settings: dict[str, Any], mean: float = 0.0, longest: int | None = None
) -> np.ndarray:
    """A changed copy of an utterance's log-mel frames; randomness comes from torch's generator.

    Masks hide the mean, which is 0 after a standardisation. A shift along the mel axis is like a longer or shorter
    vocal tract, a stretch of the time axis like another tempo: new speakers, as far as that goes.

    Source: SpecAugment (Park et al., Interspeech 2019) for the masks, without its time warping; vocal tract length
        perturbation (Jaitly and
    Hinton, 2013) and speed perturbation (Ko et al., Interspeech 2015) in their simplest form for the rest.

    Args:
        features: Frames of 10 ms, `stride` of them stacked in a step. Shape `(S, stride * bins)`.
        stride: Frames in a step.
        settings: `time_masks` of at most `time_frames` frames (never more than a fifth of the utterance),
            `frequency_masks` of at most `frequency_bins` bins, `shift_bins` up or down at most, `stretch` as a share
            of the length at most.
        mean: What masks put in the place of what they hide.
        longest: Steps that a stretched utterance has at most; None for no limit.

    Returns:
        Shape `(S', stride * bins)`.
    """
    import torch
    from torchaudio.transforms import FrequencyMasking, TimeMasking

    log_mel = torch.from_numpy(features.copy()).reshape(len(features) * stride, -1).T.unsqueeze(0)  # (1, bins, frames)
    if settings.get("shift_bins"):
        shift = int(torch.randint(-settings["shift_bins"], settings["shift_bins"] + 1, ()))
        bins = torch.arange(log_mel.shape[1]) - shift  # the bin at the edge is repeated
        log_mel = log_mel[:, bins.clamp(0, log_mel.shape[1] - 1)]
    if settings.get("stretch"):
        factor = 1 + settings["stretch"] * (2 * float(torch.rand(())) - 1)
        steps = max(1, round(len(features) * factor))
        steps = min(steps, longest or steps)
        log_mel = torch.nn.functional.interpolate(log_mel, size=steps * stride, mode="linear")
    for _ in range(settings.get("frequency_masks", 0)):
        log_mel = FrequencyMasking(settings.get("frequency_bins", 15))(log_mel, mean)
    for _ in range(settings.get("time_masks", 0)):
        log_mel = TimeMasking(settings.get("time_frames", 50), p=0.2)(log_mel, mean)
    return log_mel.squeeze(0).T.reshape(-1, features.shape[1]).numpy()
