"""From coded posts to a wording that is shown to be better, or to the word that none is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import orjson

from bsky_assets.contracts.codebooks import Codebook
from bsky_assets.labelling.asking.prompt import codebook_prompt
from bsky_assets.labelling.optimising.coded import CannotOptimise, Coded
from bsky_assets.labelling.optimising.dividing import TARGETS, TEST, Division, divide
from bsky_assets.labelling.optimising.sealed import Right, Seal, Verdict
from bsky_assets.labelling.optimising.searching import Model, Tried, best, search
from bsky_assets.labelling.optimising.wording import reworded, write
from bsky_assets.labelling.statistics.metrics import LEVEL
from bsky_assets.labelling.statistics.paired import posts_needed
from bsky_assets.storage.files import make_folder, write_json
from bsky_assets.sync_day import now

_SLACK = 1.25
"""What is kept for the test, to what it takes if nothing is asked twice."""
_CHARACTERS_A_TOKEN = 2.5
_OVERHEAD = 4
"""Requests that a test takes besides those about posts: what each wording's preflight asks."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is wanted."""

    model: str
    """Its name, for the record."""
    posts_a_request: int
    openings: int = 3
    """How often the sealed test may be opened."""
    gain: float = 0.05
    """That one would like to see, if it is there."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    division: Division
    in_force: Tried | None
    """On the development part; None where a test that had been begun was finished first."""
    candidate: Tried | None
    """The best of the search; None if none did better."""
    tried: int
    """Wordings scored on the development part."""
    verdict: Verdict | None
    """None if there was nothing to open the test for."""
    promoted: Path | None
    """The new version's file."""
    more_needed: int
    """Posts to be coded beside those there are, to see the gain that one would like to see."""


def optimise(
    model: Model, codebook: Codebook, posts: Sequence[Coded], folder: Path, plan: Plan
) -> Outcome:
    """Search for better words for `codebook`, and open the sealed test for the best.

    All that is kept is in `folder`: how the posts are divided, a log of what was tried, the
    openings of the test. A test that was begun is finished before anything else.

    Raises:
        CannotOptimise: there are too few posts, or the test was opened as often as it may be.
        BudgetSpent: there is not enough for the first scores, or for the test.
        UserError: the model cannot be asked.
    """
    make_folder(folder)
    division = divide(posts, folder / "division.json")
    seal = Seal(folder / "openings.json", division.test, plan.openings)
    journal = _Journal(folder, codebook, model)
    _keep_for_test(model, codebook, division.test, plan)
    scored: list[Tried] = []
    candidate: Tried | None
    if begun := seal.begun:
        candidate = journal.wording(begun.candidate)
    else:
        scored = search(
            model, codebook, division.train, division.development, journal.tried, plan.seed
        )
        candidate = best(scored)
    verdict, promoted = None, None
    if candidate:
        verdict, promoted = _opened(model, codebook, candidate, division.test, seal, journal, plan)
    return Outcome(
        division=division,
        in_force=scored[0] if scored else None,
        candidate=candidate,
        tried=len(scored),
        verdict=verdict,
        promoted=promoted,
        more_needed=more_needed(posts, division, verdict, seal.may_open, plan.gain),
    )


def _opened(
    model: Model,
    codebook: Codebook,
    candidate: Tried,
    test: Sequence[Coded],
    seal: Seal,
    journal: "_Journal",
    plan: Plan,
) -> tuple[Verdict, Path | None]:
    other = reworded(codebook, candidate.wording)
    if other is None:
        raise CannotOptimise("the wording that the test was begun for does not fit the codebook")
    versions = [model.version(one) for one in (other, codebook)]
    journal.keep(versions[0], candidate)

    def ask() -> tuple[Right, Right]:
        model.budget.keep(0, 0)
        old, new = (
            [post.is_right(said) for post, said in zip(test, model.answers(one, test), strict=True)]
            for one in (codebook, other)
        )
        return old, new

    verdict = seal.open(versions[0], versions[1], plan.model, ask)
    journal.opened(versions[0], verdict)
    if not verdict.is_better:
        return verdict, None
    return verdict, write(other, journal.folder / f"promoted-{versions[0]}")


def _keep_for_test(model: Model, codebook: Codebook, test: Sequence[Coded], plan: Plan) -> None:
    """Keep from the search what the test takes: both wordings, asked about all of it."""
    requests = ceil(_SLACK * 2 * ceil(len(test) / plan.posts_a_request)) + _OVERHEAD
    prompt = len(codebook_prompt((codebook,)).text.encode())
    asked = sum(len(post.question.payload) for post in test)
    characters = requests * prompt + 2 * _SLACK * asked
    answers = 2 * _SLACK * len(test) * 48
    model.budget.keep(requests, int(characters / _CHARACTERS_A_TOKEN + answers))


def more_needed(
    posts: Sequence[Coded],
    division: Division,
    verdict: Verdict | None,
    may_open: int,
    gain: float,
) -> int:
    """How many more posts have to be coded for the test to see `gain`, in four of five cases.

    It depends on how often two wordings differ: as often as they did, or in twice the gain.
    """
    level = verdict.level if verdict else 1 - (1 - LEVEL) / may_open
    differing = 2 * gain
    if verdict:
        found = verdict.effect
        differing = (found.only_with + found.only_without + 2) / (found.posts + 2)
    needed = posts_needed(gain, differing, level)
    share = max(len(division.test) / len(posts), TARGETS[TEST] / 2)
    return max(0, ceil((needed - len(division.test)) / share))


class _Journal:
    """What was tried, in the folder of a codebook."""

    def __init__(self, folder: Path, codebook: Codebook, model: Model) -> None:
        self.folder = folder
        self._codebook, self._model = codebook, model
        self._requests, self._tokens = model.budget.spent_requests, model.budget.spent_tokens

    def tried(self, part: str, tried: Tried) -> None:
        """Note a wording with its score on a part, and what that took."""
        codebook = reworded(self._codebook, tried.wording)
        version = self._model.version(codebook) if codebook else None
        budget = self._model.budget
        self._add(
            {
                "part": part,
                "prompt_version": version,
                "wording": dict(tried.wording),
                "right": tried.right,
                "posts": tried.posts,
                "requests": budget.spent_requests - self._requests,
                "tokens": budget.spent_tokens - self._tokens,
            }
        )
        self._requests, self._tokens = budget.spent_requests, budget.spent_tokens

    def opened(self, version: str, verdict: Verdict) -> None:
        """Note what the sealed test said."""
        found = verdict.effect
        self._add(
            {
                "part": TEST,
                "prompt_version": version,
                "only_this_right": found.only_with,
                "only_in_force_right": found.only_without,
                "posts": found.posts,
                "corrected_p": verdict.corrected_p,
                "is_better": verdict.is_better,
            }
        )

    def keep(self, version: str, candidate: Tried) -> None:
        """Keep the wording for which the test is opened, before it is."""
        told = {"wording": dict(candidate.wording), "right": candidate.right}
        write_json(self._file(version), {**told, "posts": candidate.posts})

    def wording(self, version: str) -> Tried:
        return Tried(**orjson.loads(self._file(version).read_bytes()))

    def _file(self, version: str) -> Path:
        return self.folder / f"candidate-{version}.json"

    def _add(self, told: Mapping[str, object]) -> None:
        line = orjson.dumps({"at": now(), **told}, option=orjson.OPT_APPEND_NEWLINE)
        with (self.folder / "tried.jsonl").open("ab") as out:
            out.write(line)
