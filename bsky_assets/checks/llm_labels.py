"""Every post that passed has a label, made from that very post, in believable shares."""

from collections.abc import Iterator, Sequence

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.contracts.details import Company, LabelDetails
from bsky_assets.labelling.day import ledger_of
from bsky_assets.labelling.ledger.tracing import labels_without_their_post
from bsky_assets.labelling.statistics import evaluation
from bsky_assets.labelling.statistics.gold import read_gold
from bsky_assets.orchestration.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake, Partition

ASSET = LlmLabel.asset
LEAST_POSTS = 100
"""Shares of fewer posts say little."""
LEAST_KAPPA = 0.6
"""Agreement with people below this is moderate at best (Landis & Koch, Biometrics 33, 1977)."""
LEAST_ALONE = 0.9
"""Share of posts that have the same label alone; warned of when surely below this."""
USUAL_SHARE = (0.01, 0.80)
"""Of sociopolitical posts among those that passed the filters."""

SPECS = [
    AssetCheckSpec(
        "labels_cover_all_passed_posts",
        asset=ASSET,
        blocking=True,
        description="Every post that passed the filters has a label of the model of record.",
    ),
    AssetCheckSpec(
        "label_shares_in_range",
        asset=ASSET,
        description="The share of sociopolitical posts is one that a working model gives.",
    ),
    AssetCheckSpec(
        "request_contains_the_post",
        asset=ASSET,
        blocking=True,
        description="What the model was sent holds the text of the post that is labelled.",
    ),
    AssetCheckSpec(
        "company_does_not_change_labels",
        asset=ASSET,
        description="Posts that are asked about alone get the labels that they have in company.",
    ),
    AssetCheckSpec(
        "labels_agree_with_people",
        asset=ASSET,
        description="On the posts of BSKY_LLM_GOLD, the model of record says what people say.",
    ),
]


def evaluate(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition
) -> list[AssetCheckResult]:
    error, warn = AssetCheckSeverity.ERROR, AssetCheckSeverity.WARN
    passed = lake.relation(con, FilteredPost, [partition.day]).filter("passed_filters")
    compared, told = _compared(con, lake, settings), partition.told(LabelDetails)
    return [
        check(
            "labels_cover_all_passed_posts",
            _uncovered(con, lake, partition),
            asset=ASSET,
            severity=error,
            checked=len(passed),
            nothing="no post passed the filters",
        ),
        check(
            "label_shares_in_range",
            _odd_shares(told, partition.rows),
            asset=ASSET,
            severity=warn,
            checked=partition.rows if partition.rows >= LEAST_POSTS else 0,
            nothing=f"there are fewer than {LEAST_POSTS} labels",
        ),
        check(
            "request_contains_the_post",
            _not_sent(con, lake, settings, partition),
            asset=ASSET,
            severity=error,
            checked=partition.rows,
            nothing="there are no labels",
        ),
        check(
            "company_does_not_change_labels",
            _changed_by_company(told.company),
            asset=ASSET,
            severity=warn,
            checked=told.company.posts if told.company else 0,
            nothing="no post was asked about alone, too",
        ),
        check(
            "labels_agree_with_people",
            _disagreement(compared),
            asset=ASSET,
            severity=warn,
            checked=sum(one.scores.posts for one in compared),
            nothing="no post has a label by people, as BSKY_LLM_GOLD names them",
        ),
    ]


def _uncovered(con: DuckDBPyConnection, lake: Lake, partition: Partition) -> Iterator[str]:
    posts = lake.relation(con, FilteredPost, [partition.day]).filter("passed_filters")
    labels = lake.relation(con, LlmLabel, [partition.day]).filter(
        "is_label_of_record AND was_successfully_labeled"
    )
    missing = posts.select("uri").except_(labels.select("uri")).aggregate("count(*)")
    ((count,),) = missing.fetchall()
    if count:
        yield f"{count:,} posts have no label; run again to ask about them once more"


def _odd_shares(told: LabelDetails, rows: int) -> Iterator[str]:
    share = told.shares.get("sociopolitical")
    low, high = USUAL_SHARE
    if share is not None and rows >= LEAST_POSTS and not low <= share <= high:
        yield f"{share:.1%} of posts are labelled sociopolitical, expected {low:.0%} to {high:.0%}"


def _changed_by_company(company: Company | None) -> Iterator[str]:
    if company and company.high < LEAST_ALONE:
        yield (
            f"of {company.posts} posts asked about alone too, {company.same} keep their "
            f"label; lower BSKY_LLM_BATCH_SIZE"
        )


def _not_sent(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition
) -> Iterator[str]:
    wrong = labels_without_their_post(con, lake, ledger_of(settings), partition.day)
    if wrong:
        yield (
            f"{len(wrong):,} labels were made from a request that does not hold their post, "
            f"{wrong[0]} among them"
        )


def _compared(
    con: DuckDBPyConnection, lake: Lake, settings: Settings
) -> Sequence[evaluation.Compared]:
    if settings.llm_gold is None:
        return ()
    try:
        scored = evaluation.evaluate(con, lake, ledger_of(settings), read_gold(settings.llm_gold))
    except evaluation.NothingToCompare:
        return ()
    return scored.compared


def _disagreement(compared: Sequence[evaluation.Compared]) -> Iterator[str]:
    for one in compared:
        kappa = one.scores.kappa
        if kappa.value < LEAST_KAPPA:
            yield f"{one.name}: kappa {kappa} on {one.scores.posts:,} posts"
