"""Which frames are masked, and what a masked frame is compared with: drawn for every utterance by itself.

What an utterance gets depends on seed, step and row alone, not on its batch or process: a run that was killed goes on
as if nothing had been, and two processes draw what one would.
"""

import numpy as np
import torch
from torch import Tensor


class MaskSampler:
    """Draws masks and negatives (wav2vec 2.0, sections 3.1 and 3.2).

    Args:
        probability: Share of the frames that would be masked if the spans did not overlap.
        length: Frames of a span; at most half of the utterance, so that the rest says something about it.
        min_masks: Spans at least.
        num_negatives: Other masked frames of the same utterance that each is compared with; 0 for none.
        seed: Of the run.
    """

    def __init__(self, probability: float, length: int, min_masks: int, num_negatives: int = 0, seed: int = 0):
        self.probability, self.length, self.min_masks = probability, length, min_masks
        self.num_negatives, self.seed = num_negatives, seed

    def __call__(self, rows: list[int], lengths: list[int], num_frames: int, draw: int) -> dict[str, Tensor]:
        """Draws for one batch.

        Args:
            rows: A number that belongs to the utterance.
            lengths: Its real frames.
            num_frames: Frames of the padded batch, S.
            draw: Another number gives another draw.

        Returns:
            `mask_time_indices`: True where a frame is masked; an utterance of one frame has none. Shape `(B, S)`.
            `negatives`: For the n-th masked frame of an utterance, which others of its masked frames it is compared
                with, counted from 0; 0 where there is no n-th. Only with `num_negatives`. Shape `(B, N, K)`.
        """
        generators = [np.random.default_rng([self.seed, draw, row]) for row in rows]
        masks = np.zeros((len(rows), num_frames), dtype=bool)
        for index, (generator, real) in enumerate(zip(generators, lengths, strict=True)):
            masks[index, self.spans(real, generator)] = True
        result = {"mask_time_indices": torch.from_numpy(masks)}
        if self.num_negatives:
            counts = masks.sum(axis=1)
            negatives = np.zeros((len(rows), counts.max(initial=0), self.num_negatives), dtype=np.int64)
            for index, (generator, count) in enumerate(zip(generators, counts, strict=True)):
                if count > 1:
                    negatives[index, :count] = others(int(count), self.num_negatives, generator)
            result["negatives"] = torch.from_numpy(negatives)
        return result

    def spans(self, num_frames: int, generator: np.random.Generator) -> np.ndarray:
        """Indices of the masked frames of an utterance, some of them several times: its spans may overlap."""
        if num_frames < 2:
            return np.zeros(0, dtype=np.int64)
        length = min(self.length, num_frames // 2)
        # rounded up as often as the fraction says
        wanted = int(self.probability * num_frames / length + generator.random())
        starts = num_frames - length + 1
        least = max(self.min_masks, 2) if self.num_negatives and length == 1 else self.min_masks
        chosen = generator.choice(starts, min(max(wanted, least), starts), replace=False)
        return (chosen[:, None] + np.arange(length)).ravel()


def others(count: int, number: int, generator: np.random.Generator) -> np.ndarray:
    """For each of `count` (at least 2) things, `number` of the others, each as likely. Shape `(count, number)`."""
    drawn = generator.integers(0, count - 1, size=(count, number))
    return drawn + (drawn >= np.arange(count)[:, None])
