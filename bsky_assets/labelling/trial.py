"""Trying a codebook on a few posts before it is put to work, alone and in company.

The answers go to the ledger: those about the codebook as it is are not asked for again when it is
put to work, and those that measure batch sizes are marked, so that no label is made of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.progress import Reporter
from bsky_assets.labelling.asking.questions import Question, day_questions
from bsky_assets.labelling.asking.rounds import PARAMETERS, Asker, Round
from bsky_assets.labelling.batch_size import LEAST_ALONE
from bsky_assets.labelling.day import asked_about, prompt_of
from bsky_assets.labelling.ledger.store import ANSWER, answers_in
from bsky_assets.labelling.statistics.consistency import marked
from bsky_assets.labelling.statistics.metrics import Estimate, rate
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake


@dataclass(frozen=True, slots=True)
class Tried:
    """A post, and what the model answers about it."""

    text: str
    answer: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class SizeTried:
    """How posts fare when so many are asked about together."""

    batch_size: int
    posts: int
    """With an answer both alone and so."""
    same: Estimate | None
    """The share that has the same answer as alone; None if no post has both."""
    tokens_a_post: float | None
    """Of requests and answers; null where the server does not tell."""
    seconds: float


class Trial:
    """A codebook and a few posts of a day that it asks about."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        lake: Lake,
        settings: Settings,
        row: type[CodebookLabel],
        day: date,
        posts: int,
        report: Reporter,
    ) -> None:
        """Take `posts` of `day`, the same on every run.

        Raises:
            NothingToLabel: the day has no labels of the codebook that decides who is asked.
        """
        which = asked_about(con, lake, day, row, settings)
        asked = day_questions(con, lake, day, which, row.codebook.context)
        self._questions: Sequence[Question] = [*asked.questions.values()][:posts]
        self._con, self._settings, self._day, self._report = con, settings, day, report
        self._prompt = prompt_of(settings, row)

    def answers(self) -> list[Tried]:
        """What the model of record answers about each post."""
        self._ask(self._settings.llm_batch_size, PARAMETERS)
        rows = self._con.sql(
            f"""
            SELECT question->>'text', CASE WHEN is_valid THEN {ANSWER} END, error FROM trial
            ORDER BY question_hash
            """
        ).fetchall()
        return [Tried(*row) for row in rows]

    def sizes(self, sizes: Sequence[int]) -> Iterator[SizeTried]:
        """The same posts with each of `sizes` a request, compared with each alone."""
        alone: Mapping[str, str] = {}
        for size in sorted({1, *sizes}):
            done = self._ask(size, marked(size, 0))
            found = answers_in(self._con, "trial")
            alone = alone or found
            both = found.keys() & alone.keys()
            same = sum(found[key] == alone[key] for key in both)
            told = done.statistics
            tokens = None
            if told.prompt_tokens is not None and told.completion_tokens is not None:
                tokens = (told.prompt_tokens + told.completion_tokens) / len(self._questions)
            agreement = rate(same, len(both)) if both else None
            yield SizeTried(size, len(both), agreement, tokens, told.seconds)

    def _ask(self, batch_size: int, parameters: str) -> Round:
        settings, report = self._settings, self._report
        asker = Asker(self._con, settings, self._prompt, self._day, batch_size, report=report)
        return asker.ask(settings.label_of_record, self._questions, "trial", parameters)


def largest_safe(tried: Sequence[SizeTried]) -> int:
    """The largest size up to which the agreement with posts asked about alone is high enough."""
    safe = 1
    for one in tried:
        if one.same is None or one.same.value < LEAST_ALONE:
            break
        safe = one.batch_size
    return safe
