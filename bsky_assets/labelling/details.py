"""What the partition of a day's labels says of itself: counts, shares, tokens, time, cost."""

from collections.abc import Sequence

import duckdb
import numpy as np

from bsky_assets.contracts import LlmLabel
from bsky_assets.contracts.details import Company, InFlight, LabelDetails, ModelRound
from bsky_assets.labelling.asking.prompt import Prompt
from bsky_assets.labelling.asking.questions import DayQuestions
from bsky_assets.labelling.asking.rounds import Round
from bsky_assets.labelling.versions import labelling_version
from bsky_assets.settings import Settings

_PERCENTILES = (50, 95, 99)


def day_details(
    con: duckdb.DuckDBPyConnection,
    settings: Settings,
    prompt: Prompt,
    asked: DayQuestions,
    rounds: Sequence[Round],
    company: Company | None,
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
    return LabelDetails(
        prompt=prompt.name,
        prompt_version=prompt.version,
        schema_version=rounds[0].answer_key.schema_version,
        labelling_version=labelling_version(LlmLabel),
        posts=asked.posts.num_rows,
        questions=len(asked.questions),
        labelled=labelled,
        failed=failed,
        other_labels=earlier,
        shares=_shares(con),
        company=company,
        models=tuple(_round(settings, one) for one in rounds),
    )


def _shares(con: duckdb.DuckDBPyConnection) -> dict[str, float]:
    rows = con.sql(
        """
        SELECT coalesce(political_ideology, 'not_sociopolitical') AS label,
            count(*) / sum(count(*)) OVER () AS share
        FROM labelling_rows WHERE is_label_of_record AND was_successfully_labeled
        GROUP BY label ORDER BY label
        """
    ).fetchall()
    shares = {label: float(share) for label, share in rows}
    if not shares:
        return {}
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
