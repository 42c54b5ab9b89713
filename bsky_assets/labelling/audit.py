"""What the filters do to the shares of a day: the model of record is asked about what they stopped.

A filter that stops one side's posts bends every share, and nothing that passed can show it. So a
random sample of the English posts that each filter stopped goes to the same model with the same
prompt. Its answers are kept in the ledger, and make no labels of the day.

The posts that passed are all labelled, so that only what was stopped is estimated; where a sample
of them is, the interval of their share counts too. Had a filter stopped nothing, a share s of N
posts would be s + w (p - s), where w is the part that its n stopped posts have of N + n, and p is
the share among them. The interval of p is the exact one of a sample drawn without replacement
(Clopper & Pearson, Biometrika 26, 1934, with the hypergeometric distribution: Katz, JASA 48, 1953);
those of several filters are put together by the method of variance estimates recovery (Zou &
Donner, Statistics in Medicine 27, 2008), and widened to whole posts: near a census the method alone
can miss by the part of a post.
What does not belong here: what happens to a post that one filter lets go and a later one would
stop. It is counted as passed.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from math import ceil, floor, sqrt
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.contracts import AuditedShare, FilteredPost, LlmLabel, arrow_schema
from bsky_assets.contracts.details import AuditDetails, LabelDetails
from bsky_assets.labelling.asking.answers import LABELS, NOT_SOCIOPOLITICAL
from bsky_assets.labelling.asking.batches import by_chance
from bsky_assets.labelling.asking.questions import day_questions
from bsky_assets.labelling.asking.rounds import Asker
from bsky_assets.labelling.day import NothingToLabel, prompt_of
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.statistics.metrics import LEVEL, Estimate
from bsky_assets.labelling.statistics.weighing import weighted_share
from bsky_assets.labelling.versions import labelling_version
from bsky_assets.settings import Settings
from bsky_assets.storage.inputs import made_from
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.sql import literal

ALL_FILTERS = "all"
SOCIOPOLITICAL = "sociopolitical"
SHARES = (SOCIOPOLITICAL, *LABELS)
_TAIL = (1 - LEVEL) / 2
_ROUNDING = 1e-9
"""Of sums of floats."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """What one filter stopped of a day, and what the model says of a sample of it."""

    filter: str
    stopped: int
    labels: Mapping[str, str]
    """The label of each post of the sample, by URI."""

    def posts_with(self, share: str) -> list[str]:
        """URIs of the sampled posts that count for `share`, in order."""
        return sorted(uri for uri, label in self.labels.items() if counts_for(label, share))

    def estimate(self, share: str) -> Estimate:
        """The share among what it stopped."""
        return finite_rate(len(self.posts_with(share)), len(self.labels), self.stopped)


def counts_for(label: str, share: str) -> bool:
    """Whether a post with `label` counts for `share`."""
    return label != NOT_SOCIOPOLITICAL if share == SOCIOPOLITICAL else label == share


@cache
def finite_rate(hits: int, sampled: int, population: int) -> Estimate:
    """A rate in `population`, from a sample drawn from it without replacement."""
    from scipy.stats import hypergeom  # which takes a second to import

    possible = range(hits, population - sampled + hits + 1)
    low = bisect_left(
        possible, True, key=lambda n: hypergeom.sf(hits - 1, population, n, sampled) > _TAIL
    )
    above = bisect_left(
        possible, True, key=lambda n: hypergeom.cdf(hits, population, n, sampled) <= _TAIL
    )
    return Estimate(hits / sampled, possible[low] / population, possible[above - 1] / population)


def shift(
    day_share: float,
    passed: int,
    strata: Sequence[Stratum],
    share: str,
    known_within: tuple[float, float] | None = None,
) -> Estimate:
    """By how much `share` of `passed` posts moves if what `strata` stopped is counted too.

    `known_within` is the interval of `day_share` where it is that of a sample.
    """
    value = below = above = 0.0
    for stratum in strata:
        rate = stratum.estimate(share)
        value += stratum.stopped * rate.value
        below += (stratum.stopped * (rate.value - rate.low)) ** 2
        above += (stratum.stopped * (rate.high - rate.value)) ** 2
    stopped = sum(stratum.stopped for stratum in strata)
    if known_within:
        below += (stopped * (known_within[1] - day_share)) ** 2
        above += (stopped * (day_share - known_within[0])) ** 2
    low, high = floor(value - sqrt(below) + _ROUNDING), ceil(value + sqrt(above) - _ROUNDING)
    moved = [(posts - stopped * day_share) / (passed + stopped) for posts in (value, low, high)]
    return Estimate(*moved)


def audit_day(
    con: duckdb.DuckDBPyConnection, lake: Lake, day: date, settings: Settings
) -> Partition:
    """Ask about a sample of what each filter stopped of `day`, and write what follows from it.

    Raises:
        NothingToLabel: the day has not been labelled.
        EndpointUnreachable: there is no endpoint, or it went away; what it answered is kept.
        EndpointRefuses: it does not take our key, model or form of request.
        NoSuchModel: it does not have the model of record.
        NothingUsable: nothing that the model says can be used.
    """
    labels = lake.current(LlmLabel, day)
    if labels is None:
        raise NothingToLabel(f"the posts of {day} are not labelled; materialise llm_labels")
    inputs = made_from(lake, AuditedShare, day)
    prompt = prompt_of(settings)
    ledger_of(settings).seal_abandoned()
    sizes = _draw(con, lake, day, settings.audit_sample)
    asked = day_questions(con, lake, day, "uri IN (SELECT uri FROM audited)")
    asker = Asker(con, settings, prompt, day, settings.llm_batch_size)
    questions = by_chance(asked.questions.values(), str(day))
    done = asker.ask(settings.label_of_record, questions, "audit_best")
    con.register("audit_posts", asked.posts)
    strata = [Stratum(name, stopped, _labels(con, name)) for name, stopped in sizes.items()]
    made: dict[str, Any] = {
        "model": done.answer_key.model,
        "model_digest": done.answer_key.model_digest,
        "prompt_version": prompt.version,
        "schema_version": prompt.form.version,
    }
    rows = [*_rows(strata, labels, made)]
    table = pa.Table.from_pylist(rows, schema=arrow_schema(AuditedShare))
    details = AuditDetails(
        **made,
        labelling_version=labelling_version(AuditedShare),
        asked=len(questions),
        requests=done.statistics.requests,
        audited={stratum.filter: len(stratum.labels) for stratum in strata},
    )
    return lake.write(AuditedShare, day, table, details, made_from=inputs)


def _draw(con: duckdb.DuckDBPyConnection, lake: Lake, day: date, size: int) -> dict[str, int]:
    """Draw the sample into the table `audited`; how many English posts each filter stopped."""
    lake.relation(con, FilteredPost, [day]).create_view("audit_filtered", replace=True)
    con.execute(
        """
        CREATE OR REPLACE TEMP TABLE audited AS
        SELECT uri, filtered_by_func AS filter, count(*) OVER (PARTITION BY filter) AS stopped
        FROM audit_filtered WHERE is_english AND NOT passed_filters
        QUALIFY row_number() OVER (PARTITION BY filter ORDER BY sha256(? || uri)) <= ?
        """,
        [str(day), size],
    )
    found = con.sql("SELECT DISTINCT filter, stopped FROM audited ORDER BY filter").fetchall()
    return dict(found)


def _labels(con: duckdb.DuckDBPyConnection, name: str) -> dict[str, str]:
    rows = con.execute(
        f"""
        SELECT uri, coalesce(political_ideology, {literal(NOT_SOCIOPOLITICAL)})
        FROM audited JOIN audit_posts USING (uri) JOIN audit_best USING (question_hash)
        WHERE filter = ? AND is_valid
        """,
        [name],
    )
    return dict(rows.fetchall())


def _rows(
    strata: Sequence[Stratum], labels: Partition, made: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    known = [stratum for stratum in strata if stratum.labels]
    everything = {uri: label for stratum in known for uri, label in stratum.labels.items()}
    together = Stratum(ALL_FILTERS, sum(stratum.stopped for stratum in known), everything)
    for stratum, parts in [*((one, [one]) for one in known), (together, known)]:
        for share in SHARES if known else ():
            yield {**_row(stratum, parts, labels, share), **made}


def _row(
    stratum: Stratum, parts: Sequence[Stratum], labels: Partition, share: str
) -> dict[str, Any]:
    told = labels.told(LabelDetails)
    known_within = None
    passed = told.labelled
    if passed and told.sample:
        passed = told.posts
        labels_of = [label for label in LABELS if counts_for(label, share)]
        if found := weighted_share(told.sample.strata, labels_of):
            known_within = found[1:]
    # The sample is not drawn from all filters alike: of the whole, each counts by its size.
    rate = shift(0.0, 0, parts, share)
    day_share = told.shares.get(share, 0.0) if passed else None
    moved = None if day_share is None else shift(day_share, passed, parts, share, known_within)
    return {
        "filter": stratum.filter,
        "label": share,
        "stopped": stratum.stopped,
        "sampled": len(stratum.labels),
        "share": rate.value,
        "share_low": rate.low,
        "share_high": rate.high,
        "day_share": day_share,
        "shift": moved and moved.value,
        "shift_low": moved and moved.low,
        "shift_high": moved and moved.high,
        "posts": stratum.posts_with(share),
    }
