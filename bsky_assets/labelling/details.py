"""What the partition of a day's labels says of itself: counts, shares, tokens, time, cost."""

from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np

from bsky_assets.contracts import LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.details import (
    Company,
    InFlight,
    LabelDetails,
    ModelRound,
    NewsGiven,
    RecordSample,
)
from bsky_assets.labelling.answer_sql import answer_as_text
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import DayQuestions
from bsky_assets.labelling.asking.rounds import Round
from bsky_assets.labelling.batch_size import BatchSize
from bsky_assets.labelling.sample import counted
from bsky_assets.labelling.statistics.weighing import weighted_share
from bsky_assets.labelling.versions import labelling_version
from bsky_assets.settings import Settings

_PERCENTILES = (50, 95, 99)


def day_details(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    row: type[Row],
    prompt: Prompt,
    asked: DayQuestions,
    rounds: Sequence[Round],
    company: Company | None,
    size: BatchSize,
    sample: RecordSample | None = None,
    news: NewsGiven | None = None,
) -> LabelDetails:
    """The details of the partition that the table `labelling_rows` becomes."""
    ((labelled, failed, earlier),) = con.sql(
        """
        SELECT count(*) FILTER (is_label_of_record AND was_successfully_labeled),
            count(*) FILTER (is_label_of_record AND NOT was_successfully_labeled),
            count(*) FILTER (NOT is_label_of_record)
        FROM labelling_rows
        """
    ).fetchall()
    posts = asked.posts.num_rows
    found: dict[str, Any] = {"shares": _shares(con, row)}
    if sample:
        sample = counted(con, row, sample)
        posts = sum(stratum.posts for stratum in sample.strata)
        found = {"shares": _weighted(sample, row), "sample": sample}
    return LabelDetails(
        prompt=prompt.name,
        prompt_version=prompt.version,
        schema_version=rounds[0].answer_key.schema_version,
        labelling_version=labelling_version(row),
        posts=posts,
        questions=len(asked.questions),
        labelled=labelled,
        failed=failed,
        other_labels=earlier,
        **found,
        news=news,
        batch_size=size.posts,
        lowered=size.lowered,
        overruled_by=settings.overruling_codebook if row is LlmLabel else None,
        company=company,
        models=tuple(_round(settings, one) for one in rounds),
    )


def _shares(con: duckdb.DuckDBPyConnection, row: type[Row]) -> dict[str, float]:
    """The share of each label; of several that one post may have, each by itself."""
    kind = row.codebook.answer.type if issubclass(row, CodebookLabel) else "one_of"
    if kind == "text":
        return {}
    label = "unnest(answer)" if kind == "several_of" else answer_as_text(row)
    rows = con.sql(
        f"""
        WITH valid AS (
            FROM labelling_rows WHERE is_label_of_record AND was_successfully_labeled
        )
        SELECT label, count(*) / (SELECT count(*) FROM valid) AS share
        FROM (SELECT {label} AS label FROM valid) GROUP BY label ORDER BY label
        """
    ).fetchall()
    return _with_political({label: float(share) for label, share in rows}, row)


def _weighted(sample: RecordSample, row: type[Row]) -> dict[str, float]:
    """The same of all posts that the sample was drawn from."""
    if issubclass(row, CodebookLabel) and row.codebook.answer.type == "text":
        return {}
    labels = sorted({label for stratum in sample.strata for label in stratum.labels})
    shares = ((label, weighted_share(sample.strata, [label])) for label in labels)
    return _with_political({label: found[0] for label, found in shares if found}, row)


def _with_political(shares: dict[str, float], row: type[Row]) -> dict[str, float]:
    if not shares or row is not LlmLabel:
        return shares
    return {"sociopolitical": 1.0 - shares.get("not_sociopolitical", 0.0), **shares}


def _round(settings: Settings, one: Round) -> ModelRound:
    statistics = one.statistics
    seconds = statistics.seconds
    lowest, highest = statistics.concurrency
    return ModelRound(
        model=one.answer_key.model,
        model_digest=one.answer_key.model_digest,
        parameters=one.answer_key.parameters,
        preflight=one.preflight.as_details() if one.preflight else None,
        answered_by=tuple(sorted(statistics.models)),
        notices=one.notices,
        questions=one.questions,
        already_known=one.known,
        answered=statistics.answered,
        failed=statistics.failed,
        requests=statistics.requests,
        retries=dict(sorted(statistics.retries.items())),
        prompt_tokens=statistics.prompt_tokens,
        cached_prompt_tokens=statistics.cached_tokens,
        completion_tokens=statistics.completion_tokens,
        cost=_cost(settings, one),
        latency_seconds=_percentiles(statistics.latencies),
        seconds=round(seconds, 3),
        questions_per_second=round(statistics.answered / seconds, 2) if seconds else None,
        concurrency=InFlight(lowest=lowest, highest=highest),
    )


def _percentiles(latencies: Sequence[float]) -> dict[str, float]:
    if not latencies:
        return {}
    values = np.percentile(latencies, _PERCENTILES)
    return {f"p{p}": round(float(v), 4) for p, v in zip(_PERCENTILES, values, strict=True)}


def _cost(settings: Settings, one: Round) -> float | None:
    """In the currency of the prices; None if no price is set, or tokens are not told."""
    prices = settings.llm_prompt_token_price, settings.llm_completion_token_price
    if prices == (None, None):
        return None
    tokens = one.statistics.prompt_tokens, one.statistics.completion_tokens
    if None in tokens and one.statistics.requests:
        return None
    return sum((price or 0.0) * (n or 0) / 1e6 for price, n in zip(prices, tokens, strict=True))
