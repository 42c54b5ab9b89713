"""How far the model agrees with people, and the shares corrected for its mistakes."""

from collections.abc import Iterator

from bsky_assets.analysis.estimating.shares import DayShares
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.statistics.evaluation import (
    Compared,
    Evaluation,
    NothingToCompare,
    evaluate,
)
from bsky_assets.labelling.statistics.gold import read_gold
from bsky_assets.reporting.day import StoredDay
from bsky_assets.reporting.page import Block, Column, Section, Share, Table, Text, Value
from bsky_assets.reporting.sections.labels import as_share

_TITLE = "Is the model right?"


def section(day: StoredDay) -> Section:
    """The label of record against the labels by people that the settings name."""
    if day.settings.llm_gold is None:
        is_coded = isinstance(day.corrected, DayShares)
        return Section("people", _TITLE, (Text((_IN_ROOMS if is_coded else _UNKNOWN,)),))
    try:
        scored = evaluate(
            day.con, day.lake, ledger_of(day.settings), read_gold(day.settings.llm_gold)
        )
    except NothingToCompare as nothing:
        return Section("people", _TITLE, (Text((f"Not known: {nothing}.",)),))
    return Section("people", _TITLE, tuple(_blocks(scored)))


_UNKNOWN = (
    "Not known, and no share is corrected: there are no labels by people. Let people label a sample"
    " (`bsky-assets labels export`) and name the file in `BSKY_LLM_GOLD`."
)
_IN_ROOMS = (
    "The shares below are corrected by what people coded. How far they agree: "
    "`bsky-assets labels agreement`."
)


def _blocks(scored: Evaluation) -> Iterator[Block]:
    yield Table(
        "Agreement with people",
        (
            Column("question"),
            Column("posts", "Posts that people and the model have labelled.", is_number=True),
            Column("same label", "Share of these with the same label.", is_number=True),
            Column(
                "kappa",
                "Cohen's kappa: agreement beyond chance; 1 is perfect, below 0.6 is moderate.",
                is_number=True,
            ),
        ),
        tuple(_agreement(each) for each in scored.compared),
    )
    if scored.shares:
        first, last = scored.days[0], scored.days[-1]
        which = "posts, by a labelled sample" if scored.is_of_sample else "labelled posts"
        yield Table(
            f"Shares of all {which}, {first} to {last}",
            (
                Column("label"),
                Column("by the model", "Share by the model's labels alone.", is_number=True),
                Column(
                    "corrected",
                    "The same with the model's mistakes taken off, as the sample shows them.",
                    is_number=True,
                ),
            ),
            tuple(
                (share.label, Share(share.naive), as_share(share.corrected))
                for share in scored.shares
            ),
        )


def _agreement(compared: Compared) -> tuple[Value, ...]:
    scores = compared.scores
    return (
        compared.name.replace("_", " "),
        scores.posts,
        as_share(scores.accuracy),
        f"{scores.kappa.value:.2f} ({scores.kappa.low:.2f} to {scores.kappa.high:.2f})",
    )
