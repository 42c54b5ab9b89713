"""The sealed test: how often it is opened, and whether what it shows is enough.

A test that is looked at again and again is passed by chance in the end. So how often a test may be
opened is set when it is first opened; each wording is noted before its answers are asked for, and
has one opening, counted whatever comes of it; and what an opening shows is corrected after Holm for
as many as the test may have, those to come counted as showing nothing. Then the chance that any of
them passes with words that are no better is what it would be for one. Tests that share a post
count as one. Source: Holm, Scandinavian Journal of Statistics 6, 1979.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter
from statsmodels.stats.multitest import multipletests

from bsky_assets.labelling.optimising.coded import CannotOptimise, Coded
from bsky_assets.labelling.optimising.dividing import identity
from bsky_assets.labelling.statistics.metrics import LEVEL, Estimate
from bsky_assets.labelling.statistics.paired import Effect, difference, effect
from bsky_assets.storage.files import write_json
from bsky_assets.sync_day import now

Right = Sequence[bool]


@dataclass(frozen=True, slots=True)
class Opening:
    """A wording and what the test said of it."""

    candidate: str
    """Version of its prompt."""
    against: str
    """Of the one in force."""
    model: str
    may_open: int
    """How often this test may be opened."""
    posts: Sequence[str]
    registered_at: str
    effect: Effect | None = None
    """Null until it is opened; with is the wording, without the one in force."""

    def is_of(self, candidate: str, against: str, model: str) -> bool:
        """Whether it compares these."""
        return (self.candidate, self.against, self.model) == (candidate, against, model)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an opened test shows."""

    effect: Effect
    gain: Estimate
    """At `level`."""
    level: float
    corrected_p: float
    opened: int
    """How many wordings this test has been opened for, this one included."""
    may_open: int
    is_better: bool


class Seal:
    """The test of a codebook."""

    def __init__(self, file: Path, test: Sequence[Coded], may_open: int) -> None:
        """Take the openings in `file` that share posts with `test`; `may_open` is for the first."""
        self._file, self._posts = file, identity(test)
        self._all = _OPENINGS.validate_json(file.read_bytes()) if file.is_file() else []
        self.may_open = next((one.may_open for one in self.openings), may_open)

    @property
    def openings(self) -> list[Opening]:
        """Of this test, in order."""
        mine = {*self._posts}
        return [one for one in self._all if not mine.isdisjoint(one.posts)]

    @property
    def begun(self) -> Opening | None:
        """The wording that is registered and has not been told its result."""
        return next((one for one in self.openings if one.effect is None), None)

    def open(
        self, candidate: str, against: str, model: str, ask: Callable[[], tuple[Right, Right]]
    ) -> Verdict:
        """Open the test for a wording; `ask` gives what is right by that in force and by it.

        Raises:
            CannotOptimise: it has been opened as often as it may be.
        """
        known = next((one for one in self.openings if one.is_of(candidate, against, model)), None)
        if known is None:
            if len(self.openings) >= self.may_open:
                raise CannotOptimise(
                    f"the sealed test has been opened {len(self.openings)} times, as often as it "
                    "may be; a test of other posts takes a file of posts that were in none before"
                )
            known = Opening(candidate, against, model, self.may_open, self._posts, str(now()))
            self._note([*self._all, known])
        if known.effect is None:
            done = replace(known, effect=effect(*ask()))
            self._note([done if one is known else one for one in self._all])
            known = done
        opened = {one.candidate: one.effect for one in self.openings if one.effect}
        return judge(opened, candidate, self.may_open)

    def _note(self, openings: list[Opening]) -> None:
        write_json(self._file, [asdict(one) for one in openings])
        self._all = openings


def judge(opened: Mapping[str, Effect], candidate: str, may_open: int) -> Verdict:
    """Whether `candidate` is better, among all for which a test was opened."""
    found = opened[candidate]
    ps = [one.p for one in opened.values()]
    to_come = [1.0] * (may_open - len(ps))
    _, corrected, _, _ = multipletests([*ps, *to_come], method="holm")
    p = float(corrected[list(opened).index(candidate)])
    level = 1 - (1 - LEVEL) / (may_open - sum(one < found.p for one in ps))
    gain = difference(found.only_with, found.only_without, found.posts, level)
    is_better = gain.low > 0 and p <= 1 - LEVEL
    return Verdict(found, gain, level, p, len(ps), may_open, is_better)


_OPENINGS = TypeAdapter(list[Opening])
