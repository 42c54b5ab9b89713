"""Every post that passed has a label, made from that very post, in believable shares."""

from collections.abc import Iterator

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec
from duckdb import DuckDBPyConnection

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.labelling.day import ledger_of
from bsky_assets.materialisation import check
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake, Partition

ASSET = LlmLabel.asset
LEAST_POSTS = 100
"""Shares of fewer posts say little."""
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
]


def evaluate(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition
) -> list[AssetCheckResult]:
    """The outcomes for one partition."""
    error, warn = AssetCheckSeverity.ERROR, AssetCheckSeverity.WARN
    return [
        check(
            "labels_cover_all_passed_posts",
            _uncovered(con, lake, partition),
            asset=ASSET,
            severity=error,
        ),
        check("label_shares_in_range", _odd_shares(partition), asset=ASSET, severity=warn),
        check(
            "request_contains_the_post",
            _not_sent(con, lake, settings, partition),
            asset=ASSET,
            severity=error,
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


def _odd_shares(partition: Partition) -> Iterator[str]:
    share = partition.details["shares"].get("sociopolitical")
    low, high = USUAL_SHARE
    if share is not None and partition.rows >= LEAST_POSTS and not low <= share <= high:
        yield f"{share:.1%} of posts are labelled sociopolitical, expected {low:.0%} to {high:.0%}"


def _not_sent(
    con: DuckDBPyConnection, lake: Lake, settings: Settings, partition: Partition
) -> Iterator[str]:
    """Labels whose request does not hold the words of their post, read back from the ledger."""
    posts = lake.relation(con, FilteredPost, [partition.day])
    labels = lake.relation(con, LlmLabel, [partition.day]).filter("was_successfully_labeled")
    asked = ledger_of(settings).relation(con)
    posts.create_view("checked_posts", replace=True)
    labels.create_view("checked_labels", replace=True)
    asked.create_view("checked_requests", replace=True)
    words = r"regexp_replace(nfc_normalize({}), '\s+', '', 'g')"
    ((wrong,),) = con.sql(
        f"""
        SELECT count(*)
        FROM checked_labels AS label
        LEFT JOIN checked_posts AS post USING (uri)
        LEFT JOIN checked_requests AS request USING (request_id, slot)
        WHERE NOT coalesce(
            contains(
                {words.format("request.question->>'text'")}, {words.format("post.record.text")}
            ),
            false
        )
        """
    ).fetchall()
    if wrong:
        yield f"{wrong:,} labels were made from a request that does not hold their post"
