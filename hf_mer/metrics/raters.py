"""How far what a system says lies from what its raters said."""

import numpy as np
from scipy.spatial.distance import jensenshannon


def rater_divergences(probabilities: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of a system's probabilities and the raters' shares of votes, for every utterance.

    `JSD(p, q) = (KL(p | m) + KL(q | m)) / 2` with `m = (p + q) / 2`, in bits: 0 where the two are the same, 1 where
    they have no class in common. It is the square of scipy's distance.

    Source: J. Lin, "Divergence measures based on the Shannon entropy", 1991.

    Args:
        probabilities: Shape `(N, C)`.
        votes: Shape `(N, C)`; rows add up to 1.

    Returns:
        Shape `(N,)`.
    """
    return jensenshannon(probabilities, votes, base=2, axis=1) ** 2
