"""Raters' votes as shares of the classes: what many people heard, where the label is what most of them did."""

from collections.abc import Mapping, Sequence


def vote_shares(votes: Mapping[str, float], names: Sequence[str]) -> list[float] | None:
    """Shares of the classes among the votes for them; votes for anything else are left out.

    Args:
        votes: Number, or weight, of the votes by what they are for; 0 or more.
        names: Of the classes.

    Returns:
        Adding up to 1, in the order of the names; None where no vote is for a class.
    """
    counted = [votes.get(name, 0.0) for name in names]
    total = sum(counted)
    return [count / total for count in counted] if total else None
