"""Precision, recall and their kin of verdicts against what should have been stopped."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Confusion:
    """How often a filter was right and wrong. To stop is positive."""

    stopped_rightly: int
    stopped_wrongly: int
    passed_wrongly: int
    passed_rightly: int

    @classmethod
    def count(cls, expected: Sequence[bool], found: Sequence[bool]) -> "Confusion":
        """Count verdicts `found` against `expected`; true is to stop."""
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
        return sum(
            (self.stopped_rightly, self.stopped_wrongly, self.passed_wrongly, self.passed_rightly)
        )

    @property
    def precision(self) -> float | None:
        """Of what was stopped, the share that should have been; null if nothing was."""
        return _share(self.stopped_rightly, self.stopped_rightly + self.stopped_wrongly)

    @property
    def recall(self) -> float | None:
        """Of what should have been stopped, the share that was; null if nothing should."""
        return _share(self.stopped_rightly, self.stopped_rightly + self.passed_wrongly)

    @property
    def f1(self) -> float | None:
        """The harmonic mean of both."""
        return _share(
            2 * self.stopped_rightly,
            2 * self.stopped_rightly + self.stopped_wrongly + self.passed_wrongly,
        )

    @property
    def accuracy(self) -> float | None:
        """The share of right verdicts."""
        return _share(self.stopped_rightly + self.passed_rightly, self.texts)

    def figures(self) -> dict[str, float | int | None]:
        """Everything by name, for a report that is stored."""
        return {
            "texts": self.texts,
            "stopped_rightly": self.stopped_rightly,
            "stopped_wrongly": self.stopped_wrongly,
            "passed_wrongly": self.passed_wrongly,
            "passed_rightly": self.passed_rightly,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
            "accuracy": self.accuracy,
        }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
