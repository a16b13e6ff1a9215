"""Frames to discrete codes: wav2vec 2.0's quantizer, or k-means where there is none (LE-MER, section 2.2)."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

KMEANS_FEATURES = ("input", "hidden")


class CodebookDiscretizer:
    """The product quantizer of a wav2vec 2.0 checkpoint: a frame's code is the tuple of its best entry in every group.

    Args:
        pretraining: The `...ForPreTraining` model whose quantizer is used.
    """

    def __init__(self, pretraining: Any):
        self.pretraining = pretraining
        self.quantizer = pretraining.quantizer
        self.groups, self.entries = self.quantizer.num_groups, self.quantizer.num_vars

    def describe(self) -> dict[str, Any]:
        """For the label store."""
        return {"kind": "codebook", "groups": self.groups, "entries": self.entries}

    def codes(self, features: Tensor) -> Tensor:
        """Codes of conv features: the sum over groups of `index * entries^group`. `(..., D_conv)` to `(...)`."""
        logits = self.quantizer.weight_proj(features).unflatten(-1, (self.groups, self.entries))
        powers = self.entries ** torch.arange(self.groups, device=features.device)
        return (logits.argmax(-1) * powers).sum(-1)

    def projected_vectors(self, codes: Tensor) -> Tensor:
        """`project_q` of the codes' codebook vectors. `(K,)` to `(K, D_contrastive)`."""
        indices = torch.stack(
            [codes // self.entries**group % self.entries for group in range(self.groups)], dim=-1
        )  # (K, G)
        table = self.quantizer.codevectors.view(self.groups, self.entries, -1)
        vectors = torch.cat([table[group, indices[:, group]] for group in range(self.groups)], dim=-1)  # (K, D_code)
        return self.pretraining.project_q(vectors)


class KMeansDiscretizer:
    """Mini-batch k-means on frames: fitted on the first that come (the rows come shuffled), then applied to all.

    Args:
        clusters: Number of centroids at most; fewer where there are fewer frames.
        features: `"input"` (the encoder's input frames; only for encoders that take log-mel frames) or `"hidden"`
            (its last hidden states).
        seed: Of the initial centroids.
        centroids: Of an earlier fit. Shape `(K, D)`.
    """

    def __init__(self, clusters: int = 500, features: str = "hidden", seed: int = 0, centroids: Tensor | None = None):
        if features not in KMEANS_FEATURES:
            raise ValueError(f"kmeans_features: '{features}' is not one of {', '.join(KMEANS_FEATURES)}")
        self.clusters, self.features, self.seed = clusters, features, seed
        self.centroids: Any = centroids

    def describe(self) -> dict[str, Any]:
        """For the label store."""
        return {"kind": "kmeans", "groups": 1, "entries": len(self.centroids), "features": self.features}

    def fit(self, frames: np.ndarray) -> None:
        """Finds the centroids of `(N, D)` frames.

        Raises:
            ValueError: If there is not a single frame.
        """
        from sklearn.cluster import MiniBatchKMeans  # here, since it takes seconds to import

        if len(frames) == 0:
            raise ValueError("k-means needs frames, but the training rows have no audio")
        clusters = min(self.clusters, max(1, len(frames) // 10))
        kmeans = MiniBatchKMeans(clusters, batch_size=4096, n_init=1, random_state=self.seed, max_iter=20).fit(frames)
        self.centroids = torch.from_numpy(kmeans.cluster_centers_.astype(np.float32))

    def codes(self, frames: Tensor) -> Tensor:
        """Nearest centroid. `(..., D)` to `(...)`."""
        flat = frames.reshape(-1, frames.shape[-1]).float()
        centroids = self.centroids.to(flat)
        distance = centroids.square().sum(-1) - 2 * flat @ centroids.T  # the frame's own norm changes nothing
        return distance.argmin(-1).view(frames.shape[:-1])
