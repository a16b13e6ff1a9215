"""The error that every loader raises."""

from collections.abc import Sequence


class CorpusError(ValueError):
    """Data that cannot be used; the message names every bad row or file, and what to do.

    Attributes:
        problems: One line per problem, all of them (the message shows the first ones).
    """

    def __init__(self, message: str, problems: Sequence[str] = ()):
        super().__init__(message)
        self.problems = list(problems)

    @classmethod
    def from_problems(cls, title: str, problems: Sequence[str], hint: str = "", shown: int = 20) -> "CorpusError":
        """One error out of many problems.

        Args:
            title: What was being read.
            problems: One line each.
            hint: What to do; last line of the message.
            shown: Number of problems written out; the rest is counted.
        """
        lines = [f"{title}: {len(problems)} problem{'s' if len(problems) != 1 else ''}"]
        lines += [f"  {problem}" for problem in problems[:shown]]
        if len(problems) > shown:
            lines.append(f"  ... and {len(problems) - shown} more")
        if hint:
            lines.append(hint)
        return cls("\n".join(lines), problems)
