"""Every post that is asked about has a label, made from that very post, in believable shares.

The same checks for `llm_labels` and for the labels of each codebook.
"""

from collections.abc import Iterator, Sequence

from dagster import AssetCheckResult, AssetCheckSpec
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from bsky_assets.contracts import FilteredPost, LlmLabel, Row
from bsky_assets.contracts.details import Company, LabelDetails
from bsky_assets.labelling.batch_size import LEAST_ALONE
from bsky_assets.labelling.day import asked_about
from bsky_assets.labelling.ledger.store import ledger_of
from bsky_assets.labelling.ledger.tracing import labels_without_their_post
from bsky_assets.labelling.statistics import evaluation
from bsky_assets.labelling.statistics.gold import NoSuchLabels, read_gold
from bsky_assets.orchestration.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition

LEAST_POSTS = 100
"""Shares of fewer posts say little."""
_LEAST_KAPPA = 0.6
"""Agreement with people below this is moderate at best (Landis & Koch, Biometrics 33, 1977)."""
_USUAL_SHARE = (0.01, 0.80)
"""Of sociopolitical posts among those that passed the filters."""
_MOST_OF_ONE = 0.99
"""Of the posts with the most frequent answer to a codebook."""


def specs(asset: str) -> list[AssetCheckSpec]:
    """The checks of labels that are kept in `asset`."""
    return [
        AssetCheckSpec(
            "labels_cover_all_passed_posts",
            asset=asset,
            blocking=True,
            description="Every post that is asked about has a label of the model of record; with "
            "BSKY_LLM_SAMPLE these are the posts of the day's sample.",
        ),
        AssetCheckSpec(
            "label_shares_in_range",
            asset=asset,
            description="The shares of the labels are such as a working model gives.",
        ),
        AssetCheckSpec(
            "request_contains_the_post",
            asset=asset,
            blocking=True,
            description="What the model was sent holds the text of the post that is labelled.",
        ),
        AssetCheckSpec(
            "company_does_not_change_labels",
            asset=asset,
            description="Posts asked about alone get the labels that they have in company.",
        ),
        AssetCheckSpec(
            "labels_agree_with_people",
            asset=asset,
            description="On the posts of BSKY_LLM_GOLD, the model of record says what people say.",
        ),
    ]


SPECS = specs(LlmLabel.asset)


def evaluate(
    con: DuckDBPyConnection,
    lake: Lake,
    settings: Settings,
    partition: Partition,
    row: type[Row] = LlmLabel,
) -> list[AssetCheckResult]:
    cover_all, in_range, hold_the_post, unchanged, agree = specs(row.asset)
    compared, told = _compared(con, lake, settings, row), partition.told(LabelDetails)
    of_record = lake.relation(con, row, [partition.day]).filter("is_label_of_record").select("uri")
    asked = of_record if told.sample else _asked(con, lake, settings, partition, row)
    return [
        check(
            cover_all,
            _uncovered(con, lake, partition, row, asked),
            checked=len(asked),
            nothing="no post passed the filters",
            not_asked=told.not_asked,
        ),
        check(
            in_range,
            _odd_shares(told, partition.rows, row),
            checked=partition.rows if partition.rows >= LEAST_POSTS else 0,
            nothing=f"there are fewer than {LEAST_POSTS} labels",
        ),
        check(
            hold_the_post,
            _not_sent(con, lake, settings, partition, row),
            checked=partition.rows,
            nothing="there are no labels",
        ),
        check(
            unchanged,
            _changed_by_company(told.company),
            checked=told.company.posts if told.company else 0,
            nothing="no post was asked about alone, too",
        ),
        check(
            agree,
            _disagreement(compared),
            checked=sum(one.scores.posts for one in compared),
            nothing="no post has a label by people, as BSKY_LLM_GOLD names them",
        ),
    ]


def _asked(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition, row: type[Row]
) -> DuckDBPyRelation:
    posts = lake.relation(con, FilteredPost, [partition.day])
    return posts.filter(asked_about(con, lake, partition.day, row, settings)).select("uri")


def _uncovered(
    con: DuckDBPyConnection,
    lake: Lake,
    partition: Partition,
    row: type[Row],
    asked: DuckDBPyRelation,
) -> Iterator[str]:
    labels = lake.relation(con, row, [partition.day]).filter(
        "is_label_of_record AND was_successfully_labeled"
    )
    missing = asked.except_(labels.select("uri")).aggregate("count(*)")
    ((count,),) = missing.fetchall()
    if count:
        yield f"{count:,} posts have no label; run again to ask about them once more"
    told = partition.told(LabelDetails)
    drawn = sum(stratum.sampled for stratum in told.sample.strata) if told.sample else 0
    left = sum(sum(since.posts_by_reason.values()) for since in told.removed_since)
    if drawn > len(asked) + left:
        yield f"{drawn - len(asked):,} posts of the day's sample have no row; run again"


def _odd_shares(told: LabelDetails, rows: int, row: type[Row]) -> Iterator[str]:
    shares = told.shares
    if rows < LEAST_POSTS or not shares:
        return
    if row is LlmLabel:
        share, (low, high) = shares["sociopolitical"], _USUAL_SHARE
        if not low <= share <= high:
            yield (
                f"{share:.1%} of posts are labelled sociopolitical, expected {low:.0%} to "
                f"{high:.0%}"
            )
        return
    label = max(shares, key=shares.__getitem__)
    if shares[label] > _MOST_OF_ONE:
        yield f"{shares[label]:.1%} of posts are labelled {label}: does the model tell them apart?"


def _changed_by_company(company: Company | None) -> Iterator[str]:
    if company and company.high < LEAST_ALONE:
        yield (
            f"of {company.posts} posts asked about alone too, {company.same} keep their "
            "label; the next days ask about half as many together, or lower BSKY_LLM_BATCH_SIZE"
        )


def _not_sent(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition, row: type[Row]
) -> Iterator[str]:
    wrong = labels_without_their_post(con, lake, ledger_of(settings), partition.day, row)
    if wrong:
        yield (
            f"{len(wrong):,} labels were made from a request that does not hold their post, "
            f"{wrong[0]} among them"
        )


def _compared(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, row: type[Row]
) -> Sequence[evaluation.Compared]:
    if settings.llm_gold is None:
        return ()
    try:
        gold = read_gold(settings.llm_gold, row=row)
        return evaluation.evaluate(con, lake, ledger_of(settings), gold, row).compared
    except (evaluation.NothingToCompare, NoSuchLabels):
        return ()


def _disagreement(compared: Sequence[evaluation.Compared]) -> Iterator[str]:
    for one in compared:
        kappa = one.scores.kappa
        if kappa.value < _LEAST_KAPPA:
            yield f"{one.name}: kappa {kappa} on {one.scores.posts:,} posts"
