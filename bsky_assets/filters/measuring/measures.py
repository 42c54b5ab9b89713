"""Precision, recall and their kin of verdicts against what should have been stopped."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Confusion:
    """How often a filter was right and wrong. To stop is positive, unless said otherwise."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @classmethod
    def count(cls, expected: Sequence[bool], found: Sequence[bool]) -> "Confusion":
        """Count verdicts `found` against `expected`; true is positive."""
        pairs = list(zip(expected, found, strict=True))
        return cls(
            sum(should and did for should, did in pairs),
            sum(did and not should for should, did in pairs),
            sum(should and not did for should, did in pairs),
            sum(not should and not did for should, did in pairs),
        )

    @property
    def texts(self) -> int:
        """How many there were."""
        return sum(asdict(self).values())

    @property
    def precision(self) -> float | None:
        """Of what was found positive, the share that is; null if nothing was."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        """Of what is positive, the share that was found; null if nothing is."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both."""
        return _share(
            2 * self.true_positives,
            2 * self.true_positives + self.false_positives + self.false_negatives,
        )

    @property
    def accuracy(self) -> float | None:
        """The share of right verdicts."""
        return _share(self.true_positives + self.true_negatives, self.texts)

    def figures(self) -> dict[str, float | int | None]:
        """Everything by name, for a report that is stored."""
        return {
            "texts": self.texts,
            **asdict(self),
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "accuracy": self.accuracy,
        }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
