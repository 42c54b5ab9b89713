"""What contracts say of their lineage, held against the code that makes the rows.

One column of an asset's input is given other values, and the asset is made again: exactly the
columns change that say they are made from it. Which rows there are changes only with the columns
of `rows_from`.
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from bsky_assets.consolidation.consolidate import consolidate_day
from bsky_assets.contracts import (
    ALL,
    ConsolidatedPost,
    DisputedPost,
    FilteredPost,
    LlmLabel,
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    columns,
    contract_version,
)
from bsky_assets.filters.chain import filter_day
from bsky_assets.filters.judge import Judge
from bsky_assets.filters.judge import sources as judge_sources
from bsky_assets.labelling.asking.prompt import PROMPTS
from bsky_assets.labelling.statistics.agreement import compare
from bsky_assets.settings import Settings, get_settings
from bsky_assets.storage.lake import Lake
from bsky_assets.sync_day import bounds
from bsky_assets_tests.contracts.lineage_rows import (
    Change,
    Rows,
    changed,
    filled,
    leaves,
    other,
    sources,
    values,
)
from bsky_assets_tests.support.labelling import DAY, Lab
from bsky_assets_tests.support.llm_endpoint import FakeEndpoint
from bsky_assets_tests.support.places import ROOT
from bsky_assets_tests.support.serving import served
from testbed.lineage_picture import lineage_svg
from testbed.rows import NOON, filtered_post, post_uri, record, table, tid

Input = dict[tuple[type[Row], date], Rows]
YESTERDAY = DAY - timedelta(days=1)
BY_ASSET = {row.asset: row for row in ALL}
ANN, BOB, CAROL, DAVE = (f"did:plc:{name}" for name in ("ann", "bob", "carol", "dave"))


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


STORED: dict[tuple[str, type[Row], date], Rows] = {}
"""What was stored last in each lake: only what is other than that is written."""


def store(lake: Lake, given: Input) -> None:
    for (row, day), rows in given.items():
        if STORED.get((str(lake.root), row, day)) != rows:
            lake.write(row, day, table(row, rows))
            STORED[str(lake.root), row, day] = rows


def with_change(given: Input, column: str, change: Change | None = None) -> Input:
    """`given` with other values in `asset.column`, on every day."""
    asset, _, path = column.partition(".")
    return {
        (row, day): changed(rows, path, change) if row.asset == asset else rows
        for (row, day), rows in given.items()
    }


def declared(row: type[Row], column: str) -> set[str]:
    """The columns of `row` that say they are made from `column`."""
    return {name for name, made_from in sources(row).items() if column in made_from}


def different(one: Mapping[str, list[str]], two: Mapping[str, list[str]]) -> set[str]:
    return {name for name in one if one[name] != two[name]}


# --- what is declared exists


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.asset)
def test_every_source_is_a_column_of_an_asset(row: type[Row]) -> None:
    known = {f"{asset.asset}.{column.name}" for asset in ALL for column in columns(asset)}
    named = {source for column in columns(row) for source in column.sources}
    assert named | set(row.rows_from) <= known


@pytest.mark.parametrize("row", [ConsolidatedPost, FilteredPost, LlmLabel])
def test_sources_of_values_are_columns_that_hold_values(row: type[Row]) -> None:
    for made_from in sources(row).values():
        for source in made_from:
            asset, _, path = source.partition(".")
            assert path in leaves(BY_ASSET[asset]), source


def test_the_picture_in_the_docs_is_current() -> None:
    picture = ROOT / "docs" / "images" / "columns.svg"
    assert picture.read_text() == lineage_svg(), (
        f"run: python -m testbed.lineage_picture > docs/images/{picture.name}"
    )


# --- consolidated posts

RAW = (RawFirehosePost, RawFeedPost, RawPostDeletion)
MADE_BY_THE_CLOCK = "metadata.processed_timestamp"
SAME_ORDER = "metadata.source, try_cast(regexp_extract(cid, '[0-9]*$') AS INTEGER), uri"
"""Whatever was changed: changed values end as they did."""
APART = 3
"""Rows of each asset in which one and the same column is given other values."""


def apart(columns: int) -> Input:
    """Posts of which none has to do with another, nor with a deletion: `APART` for each column."""
    numbers = range(1, APART * columns + 1)
    firehose = [
        filled(RawFirehosePost, n, **({} if n % APART else {"commit_time": None})) for n in numbers
    ]
    deletions = [
        filled(RawPostDeletion, n, kind="post", uri=f"something else {n}") for n in numbers
    ]
    return {
        (RawFirehosePost, DAY): firehose,
        (RawFeedPost, DAY): [filled(RawFeedPost, n, uri=f"fed {n}") for n in numbers],
        (RawPostDeletion, DAY): deletions,
    }


def consolidated(con: duckdb.DuckDBPyConnection, lake: Lake, given: Input) -> pa.Table:
    store(lake, given)
    consolidate_day(con, lake, DAY)
    return lake.relation(con, ConsolidatedPost, [DAY]).order(SAME_ORDER).to_arrow_table()


@pytest.mark.parametrize("row", RAW, ids=lambda row: row.asset)
def test_consolidated_columns_change_with_what_they_say_they_are_made_from(
    con: duckdb.DuckDBPyConnection, lake: Lake, row: type[Row]
) -> None:
    """Each column is changed in posts of its own: by them is told what a change reaches."""
    paths = leaves(row)
    unchanged = apart(len(paths))
    before = values(ConsolidatedPost, consolidated(con, lake, unchanged))
    assert len(before["uri"]) == 2 * APART * len(paths)
    rows = unchanged[row, DAY]
    given: Input = {(row, DAY): []}  # What other assets have is stored already.
    for place, path in enumerate(paths):
        given[row, DAY] += changed(rows[place * APART : (place + 1) * APART], path)
    after = values(ConsolidatedPost, consolidated(con, lake, given))

    uris = {repr(one["uri"]) for one in rows}
    own = [place for place, uri in enumerate(before["uri"]) if uri in uris]
    others = [place for place, uri in enumerate(before["uri"]) if uri not in uris]
    assert _changed_in(others, before, after) == set()
    for place, path in enumerate(paths):
        column = f"{row.asset}.{path}"
        expected = declared(ConsolidatedPost, column)
        if not path.startswith("earlier_versions"):
            expected -= {name for name in expected if name.startswith("earlier_versions")}
        theirs = own[place * APART : (place + 1) * APART]
        assert _changed_in(theirs, before, after) == expected, column


def _changed_in(
    rows: list[int], before: Mapping[str, list[str]], after: Mapping[str, list[str]]
) -> set[str]:
    """The columns in which some of these rows have another value, the time of the making aside."""
    one, two = (
        {name: [column[row] for row in rows] for name, column in made.items()}
        for made in (before, after)
    )
    return different(one, two) - {MADE_BY_THE_CLOCK}


def test_earlier_versions_change_with_what_they_say_they_are_made_from(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    early, late = NOON - timedelta(hours=9), NOON + timedelta(hours=9)
    both = [{"uri": f"uri {n}", "author": f"author {n}", "earlier_versions": None} for n in (1, 2)]
    given: Input = {
        (RawFirehosePost, DAY): [filled(RawFirehosePost, n, **both[n - 1]) for n in (1, 2)],
        (RawFeedPost, DAY): [
            filled(RawFeedPost, 3, uri="uri 1", indexed_at=early),
            filled(RawFeedPost, 4, uri="uri 2", indexed_at=late),
        ],
        (RawPostDeletion, DAY): [],
    }
    before = values(ConsolidatedPost, consolidated(con, lake, given))
    for name in ("cid", "rev", "text"):
        column = f"earlier_versions.{name}"
        for source in sources(ConsolidatedPost)[column]:
            if not source.startswith("raw_firehose_posts.earlier_versions"):
                after = consolidated(con, lake, with_change(given, source))
                assert column in different(before, values(ConsolidatedPost, after)), source


def together() -> Input:
    """Posts that come up twice, are deleted, or were there on the day before."""

    def post(number: int, author: str, **fields: Any) -> dict[str, Any]:
        fields = {"uri": post_uri(author, str(number)), "author": author, **fields}
        return filled(RawFirehosePost, number, relay="relay", **fields)

    def item(number: int, author: str, feed: str = "today", **fields: Any) -> dict[str, Any]:
        fields = {"uri": post_uri(author, str(number)), "author": {"did": author}, **fields}
        return filled(RawFeedPost, number, metadata={"source_feed": feed}, **fields)

    def deletion(kind: str, did: str, number: int, **fields: Any) -> dict[str, Any]:
        uri = post_uri(did, str(number)) if kind == "post" else None
        fields = {"status": "deleted", "relay": "relay", **fields}
        return filled(RawPostDeletion, number, kind=kind, did=did, uri=uri, **fields)

    later, between = NOON + timedelta(hours=1), NOON + timedelta(minutes=30)
    much_later = NOON + timedelta(hours=3)
    first = [{"cid": "first", "rev": "", "text": "first"}]
    return {
        (RawFirehosePost, YESTERDAY): [post(7, ANN)],
        (RawFeedPost, YESTERDAY): [item(8, ANN)],
        (RawFirehosePost, DAY): [
            post(1, ANN),
            post(2, ANN),
            post(3, ANN, rev=tid(NOON), received_at=much_later),
            post(4, BOB),
            post(5, CAROL),
            post(7, ANN),
            post(8, ANN),
            post(10, ANN, rev=tid(later), received_at=much_later),
            post(11, ANN, rev="", commit_time=NOON, received_at=much_later),
            post(12, ANN, rev="", commit_time=None, received_at=NOON),
            post(13, ANN, commit_time=NOON, earlier_versions=first),
            post(15, DAVE),
        ],
        (RawFeedPost, DAY): [
            item(2, ANN, indexed_at=later, received_at=NOON),
            item(2, ANN, "week", indexed_at=later, received_at=later, cid="later"),
            item(6, ANN, received_at=NOON),
            item(6, ANN, "week", received_at=NOON, cid="at the same time"),
            item(9, BOB),
            item(13, ANN, cid="first", indexed_at=later),
            item(14, ANN, indexed_at=NOON, received_at=much_later),
        ],
        (RawPostDeletion, DAY): [
            *(
                deletion("post", ANN, number, rev=rev, event_time=between, received_at=much_later)
                for number, rev in {1: None, 3: tid(between), 10: tid(between)}.items()
            ),
            *(
                deletion("post", ANN, number, rev=None, event_time=between, received_at=much_later)
                for number in (11, 12, 14)
            ),
            deletion("account", BOB, 0, seq=1, received_at=NOON),
            deletion("account", CAROL, 0, seq=1, received_at=NOON),
            deletion("account", CAROL, 0, seq=2, received_at=later, status="active"),
            deletion("account", DAVE, 0, seq=1, received_at=NOON, status="active"),
            deletion("account", DAVE, 0, seq=2, received_at=NOON),
        ],
        (RawPostDeletion, DAY + timedelta(days=1)): [],
    }


def backwards(value: Any, number: int) -> Any:
    """Later is earlier, and names run from z to a."""
    if isinstance(value, int):
        return -value
    return NOON - (value - NOON) if not isinstance(value, str) else _mirrored(value)


def _mirrored(text: str) -> str:
    return "".join(chr(0x7F - ord(char) + 0x1F) for char in text)


def of_one_account(value: Any, number: int) -> Any:
    return BOB


def active(value: Any, number: int) -> Any:
    return "active"


ROW_CHANGES: dict[str, Change] = {
    "raw_firehose_posts.author": of_one_account,
    "raw_firehose_posts.action": lambda value, number: "update",
    "raw_firehose_posts.rev": lambda value, number: tid(NOON - timedelta(days=1)),
    "raw_feed_posts.author.did": of_one_account,
    "raw_feed_posts.metadata.source_feed": backwards,
    "raw_feed_posts.received_at": backwards,
    "raw_post_deletions.did": lambda value, number: ANN,
    "raw_post_deletions.rev": lambda value, number: value and tid(NOON - timedelta(days=1)),
    "raw_post_deletions.event_time": backwards,
    "raw_post_deletions.seq": backwards,
    "raw_post_deletions.status": active,
    "raw_post_deletions.received_at": backwards,
}
"""How the values must change for rows to come or go; elsewhere any change does it."""


def test_which_posts_are_consolidated_changes_with_what_decides_it(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    before = consolidated(con, lake, together())
    known = [row["uri"].rpartition("/")[2] for row in before.to_pylist()]
    assert sorted(known) == ["10", "13", "2", "5", "6"]
    for column in ConsolidatedPost.rows_from:
        after = consolidated(con, lake, with_change(together(), column, ROW_CHANGES.get(column)))
        assert _versions(after) != _versions(before), column


def _versions(posts: pa.Table) -> list[tuple[str, str]]:
    return [(row["uri"], row["cid"]) for row in posts.to_pylist()]


def test_no_other_column_decides_which_posts_are_consolidated(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    expected = consolidated(con, lake, together()).column("uri").to_pylist()
    given = together()
    for row in RAW:
        for path in leaves(row):
            if f"{row.asset}.{path}" not in ConsolidatedPost.rows_from:
                given = with_change(given, f"{row.asset}.{path}")
    after = consolidated(con, lake, given)
    assert sorted(after.column("uri").to_pylist()) == sorted(expected)


# --- filtered posts

TRUSTED = get_settings().trusted_labelers[0]
END = bounds(DAY, get_settings().timezone)[1]
ENGLISH = "good morning everyone"
TAG = "app.bsky.richtext.facet#tag"
FILTERED_AT = {"filtered_at", "preprocessing_timestamp"}


def harmless(number: int, did: str | None = None, **fields: Any) -> dict[str, Any]:
    """A consolidated post that every filter lets through."""
    did = did or f"did:plc:author{number}"
    given: dict[str, Any] = {
        "uri": post_uri(did, str(number)),
        "author": {"did": did},
        "record": {
            "text": ENGLISH,
            "langs": ["en"],
            "labels": None,
            "reply_parent": None,
            "tags": None,
            "facets": None,
            "embed": {"link_uri": None, "link_title": None, "alt_texts": None},
            **fields.pop("record", {}),
        },
        "applied_labels": [],
        **fields,
    }
    return filled(ConsolidatedPost, number, **given)


def applied(uri: str, **fields: Any) -> dict[str, Any]:
    label = {"src": TRUSTED, "uri": uri, "val": "bot", "neg": False, "cts": NOON, "exp": None}
    return {**label, **fields}


def streamed(uri: str, **fields: Any) -> dict[str, Any]:
    made = {"cid": None, "seq": 1, "origin": "labeler", "received_at": END}
    return applied(uri, **{**made, **fields})


def to_filter() -> Input:
    """Posts each of which is stopped, or is not, by one column alone."""
    later, ended = NOON + timedelta(minutes=30), END - timedelta(minutes=30)
    uris = [post_uri(f"did:plc:author{n}", str(n)) for n in range(30)]
    facet = {"byte_start": 0, "byte_end": 1, "kind": TAG, "value": "nsfwart"}
    embed: dict[str, Any] = {"link_uri": None, "link_title": None, "alt_texts": None}
    host = "https://links.example/1"
    links = [
        harmless(
            100 + n,
            DAVE,
            indexed_at=NOON + timedelta(minutes=n * n),
            record={"embed": {**embed, "link_uri": host}},
        )
        for n in range(12)
    ]
    ticks = [harmless(200 + n, CAROL, indexed_at=NOON + timedelta(minutes=5 * n)) for n in range(8)]
    alone = [
        harmless(1),
        harmless(2, record={"text": DEPENDS_ON_LANGS}),
        harmless(3, record={"labels": ["bot"]}),
        harmless(4, author={"did": ANN, "handle": "site.web.brid.gy"}),
        harmless(5, author={"did": BOB}),
        harmless(6),
        harmless(7, cid="cid 7"),
        harmless(8, applied_labels=[applied(uris[8])]),
        harmless(9, applied_labels=[applied(uris[9])]),
        harmless(10, applied_labels=[applied(uris[10], exp=ended)]),
        harmless(11, applied_labels=[applied(uris[11], cts=later)]),
        harmless(12),
        harmless(13),
        harmless(20, record={"tags": ["nsfwart"]}),
        harmless(21, record={"facets": [facet]}),
        harmless(22, record={"embed": {**embed, "link_title": "free porn"}}),
        harmless(23, record={"embed": {**embed, "alt_texts": ["free porn"]}}),
    ]
    labels = [
        streamed(BOB),
        streamed(uris[6]),
        streamed(uris[7], cid="cid 7"),
        streamed(uris[9], cts=later, neg=True),
        streamed(uris[11], cts=NOON, neg=True),
        streamed(uris[12], exp=ended),
        streamed(uris[13]),
        streamed(uris[13], neg=True),
    ]
    return {
        (ConsolidatedPost, DAY): [*alone, *links, *ticks],
        (RawModerationLabel, DAY): labels,
    }


DEPENDS_ON_LANGS = "die hard"
VALUE_CHANGES: dict[str, Change] = {
    "consolidated_posts.author.handle": lambda value, number: f"{number}.example",
    "consolidated_posts.record.text": lambda value, number: "今日はとても暑いですね",
    "consolidated_posts.record.langs": lambda value, number: ["ja"],
    "consolidated_posts.record.reply_parent": lambda value, number: f"at://someone/{number}",
    "consolidated_posts.record.embed.link_uri": lambda value, number: f"https://{number}.example/",
    "consolidated_posts.record.tags": lambda value, number: ["harmless"],
    "consolidated_posts.record.facets.value": lambda value, number: "harmless",
    "consolidated_posts.record.embed.link_title": lambda value, number: "harmless",
    "consolidated_posts.record.embed.alt_texts": lambda value, number: ["harmless"],
    "consolidated_posts.indexed_at": lambda value, number: NOON + timedelta(minutes=number**2),
    "raw_moderation_labels.received_at": lambda value, number: NOON - timedelta(hours=1),
}


@pytest.fixture
def quick_filters(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    """The filters are made once, and their canaries, which have tests of their own, not asked."""
    judge = Judge(judge_sources(settings))
    monkeypatch.setattr("bsky_assets.filters.workers.Judge", lambda _: judge)
    monkeypatch.setattr("bsky_assets.filters.measuring.canaries.require", lambda _: None)


def filtered(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings, given: Input
) -> dict[str, list[str]]:
    store(lake, given)
    filter_day(con, lake, DAY, settings)
    found = values(FilteredPost, lake.relation(con, FilteredPost, [DAY]).to_arrow_table())
    return {name: column for name, column in found.items() if name not in FILTERED_AT}


@pytest.mark.usefixtures("quick_filters")
def test_verdicts_change_with_what_they_say_they_are_made_from(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings
) -> None:
    before = filtered(con, lake, settings, to_filter())
    own = {name for name in leaves(FilteredPost) if name not in leaves(ConsolidatedPost)}
    read = {source for name in own for source in sources(FilteredPost)[name]}
    for column in sorted(read):
        given = with_change(to_filter(), column, VALUE_CHANGES.get(column))
        after = filtered(con, lake, settings, given)
        assert different(before, after) == declared(FilteredPost, column), column


@pytest.mark.usefixtures("quick_filters")
def test_columns_that_no_filter_reads_are_taken_over_and_change_nothing_else(
    con: duckdb.DuckDBPyConnection, lake: Lake, settings: Settings
) -> None:
    own = {name for name in leaves(FilteredPost) if name not in leaves(ConsolidatedPost)}
    read = {source for name in own - {"synctimestamp"} for source in sources(FilteredPost)[name]}
    given, expected = to_filter(), set()
    before = filtered(con, lake, settings, given)
    for row in (ConsolidatedPost, RawModerationLabel):
        for column in {f"{row.asset}.{path}" for path in leaves(row)} - read:
            given = with_change(given, column)
            expected |= declared(FilteredPost, column)
    after = filtered(con, lake, settings, given)
    assert different(before, after) == expected


# --- labels


PARENT, THREAD, QUOTED, TWICE = (
    post_uri(ANN, name) for name in ("parent", "root", "quoted", "twice")
)


def to_label() -> Input:
    """Posts with every kind of context, and the posts that these refer to."""
    posts = [
        filtered_post(1, "a post"),
        filtered_post(2, "an answer", record=record("an answer", reply_parent=PARENT)),
        filtered_post(3, "", record=record("in a thread", reply_parent=PARENT, reply_root=THREAD)),
        filtered_post(4, "", record=record("a quote", embed={"quoted_uri": QUOTED})),
        filtered_post(5, "", record=record("a link", embed={"link_uri": "https://a.example"})),
        filtered_post(6, "", record=record("a card", embed={"link_title": "title"})),
        filtered_post(7, "", record=record("a card", embed={"link_description": "words"})),
        filtered_post(8, "", record=record("a picture", embed={"alt_texts": ["a dog"]})),
        filtered_post(9, "", record=record("an answer to one seen twice", reply_parent=TWICE)),
        filtered_post(10, "not for us", passed_filters=False),
    ]
    referred = {PARENT: "the parent", THREAD: "the root", QUOTED: "the quoted"}
    collected = [
        filled(ConsolidatedPost, n, uri=uri, record={"text": text})
        for n, (uri, text) in enumerate(referred.items())
    ]
    first = filled(ConsolidatedPost, 8, uri=TWICE, cid="a", record={"text": "the first"})
    second = filled(ConsolidatedPost, 9, uri=TWICE, cid="b", record={"text": ""})
    return {
        (FilteredPost, DAY): posts,
        (ConsolidatedPost, DAY): [*collected, first],
        (ConsolidatedPost, YESTERDAY): [second],
    }


def pointing_elsewhere(value: Any, number: int) -> Any:
    return value and QUOTED


LABEL_CHANGES: dict[str, Change] = {
    "filtered_posts.record.reply_parent": pointing_elsewhere,
    "filtered_posts.record.reply_root": pointing_elsewhere,
    "consolidated_posts.cid": lambda value, number: {"a": "b", "b": "a"}.get(value, value),
}
OF_THE_REQUEST = {
    *("label_timestamp", "attempts", "prompt_tokens", "completion_tokens", "latency_seconds"),
    *("batch_size", "request_id", "slot"),
}


def emptied(value: Any, number: int) -> Any:
    return "" if isinstance(value, str) else None


def labelled(lab: Lab, given: Input) -> dict[str, list[str]]:
    store(lab.lake, given)
    lab.label()
    found = values(LlmLabel, pa.Table.from_pylist(lab.rows()))
    return {name: column for name, column in found.items() if name not in OF_THE_REQUEST}


def test_labels_change_with_what_they_say_they_are_made_from(tmp_path: Path) -> None:
    is_another_question = False

    def answer(_body: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
        label = "left" if is_another_question else "not_sociopolitical"
        return {
            key: {"text": post["text"], "label": label, "reason": label}
            for key, post in question.items()
        }

    with served(FakeEndpoint(answer).app()) as url:
        lab = Lab(tmp_path, f"{url}/v1", {"llm_models": ("fake",), "llm_reason": True})
        before = labelled(lab, to_label())
        assert len(before["uri"]) == 9
        is_another_question = True
        read = {source for made_from in sources(LlmLabel).values() for source in made_from}
        for column in sorted(read):
            changes = [LABEL_CHANGES.get(column, other)]
            if ".record." in column and column != "filtered_posts.record.text":
                changes.append(emptied)
            found = [labelled(lab, with_change(to_label(), column, change)) for change in changes]
            seen = set().union(*(different(before, after) for after in found))
            # This endpoint tells no log-probabilities, so that nobody's confidence changes.
            assert seen == declared(LlmLabel, column) - {"confidence"}, column
        assert sources(LlmLabel)["confidence"] == sources(LlmLabel)["political_ideology"]

        given = to_label()
        for row in (FilteredPost, ConsolidatedPost):
            for column in {f"{row.asset}.{path}" for path in leaves(row)} - read:
                if column not in LlmLabel.rows_from:
                    given = with_change(given, column)
        assert labelled(lab, given) == before
        passed = with_change(to_label(), "filtered_posts.passed_filters")
        assert len(labelled(lab, passed)["uri"]) == 1


@pytest.mark.parametrize(
    ("row", "names"),
    [
        (ConsolidatedPost, {MADE_BY_THE_CLOCK}),
        (FilteredPost, FILTERED_AT),
        (LlmLabel, OF_THE_REQUEST),
    ],
    ids=lambda value: getattr(value, "asset", ""),
)
def test_what_is_new_each_time_is_said_to_be_made_from_no_column(
    row: type[Row], names: set[str]
) -> None:
    assert {name for name in names if sources(row)[name]} == set()


def test_labels_by_an_earlier_prompt_outlive_a_changed_contract(tmp_path: Path) -> None:
    for file in PROMPTS.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    with served(FakeEndpoint().app()) as url:
        lab = Lab(tmp_path / "data", f"{url}/v1", {"llm_models": ("fake",)})
        lab.filtered([filtered_post(1, "Left it is")])
        pointer = lab.label().path.with_name("current.json")
        pointer.write_text(pointer.read_text().replace(contract_version(LlmLabel), "earlier"))
        (tmp_path / "task.md").write_text("Another task.")
        lab.options["llm_prompt"] = tmp_path
        lab.label()
    assert sorted(row["is_label_of_record"] for row in lab.rows()) == [False, True]


# --- posts on which models disagree


def labels_of_models() -> Input:
    """A post on which two models disagree, and one that they did before, by another prompt."""

    def label(uri: str, model: str, side: str | None, **fields: Any) -> dict[str, Any]:
        given = {"uri": uri, "model": model, "political_ideology": side, "is_sociopolitical": True}
        given |= {"was_successfully_labeled": True, "is_label_of_record": model == "a"}
        versions = {"prompt_version": "now", "schema_version": "now", "label_timestamp": NOON}
        return filled(LlmLabel, 1, **{**given, **versions, **fields})

    return {
        (LlmLabel, DAY): [
            label("1", "a", "left"),
            label("1", "b", "right"),
            label("2", "a", "left"),
            label("2", "b", "left", label_timestamp=NOON + timedelta(hours=1)),
            label("2", "b", "right", label_timestamp=NOON),
            label("3", "a", "left"),
            label("3", "b", "right", prompt_version="before"),
            label("4", "a", "left"),
            label("4", "b", "right", schema_version="before"),
            label("5", "a", "left"),
            label("5", "b", "right", was_successfully_labeled=False),
            label("6", "a", "left"),
            label("6", "a", "right", is_label_of_record=False),
        ]
    }


DISPUTE_CHANGES: dict[str, list[Change]] = {
    "llm_labels.uri": [other, lambda value, number: "one and the same"],
    "llm_labels.model": [lambda value, number: {"a": "z"}.get(value, value), lambda *_: "a"],
    "llm_labels.political_ideology": [lambda value, number: {"left": "moderate"}.get(value, value)],
    "llm_labels.prompt_version": [lambda *_: "now"],
    "llm_labels.schema_version": [lambda *_: "now"],
    "llm_labels.label_timestamp": [backwards],
}


def test_disputed_posts_change_with_what_they_say_they_are_made_from(
    con: duckdb.DuckDBPyConnection, lake: Lake
) -> None:
    def disputed(given: Input) -> list[tuple[Any, ...]]:
        store(lake, given)
        found = compare(con, lake, [DAY]).disputed
        return sorted(tuple(row.values()) for row in found.to_pylist())

    before = disputed(labels_of_models())
    assert before == [("1", ["a", "b"], ["left", "right"])]
    for path in leaves(LlmLabel):
        column = f"llm_labels.{path}"
        changes = DISPUTE_CHANGES.get(column, [other])
        found = [disputed(with_change(labels_of_models(), column, change)) for change in changes]
        is_read = column in DisputedPost.rows_from or bool(declared(DisputedPost, column))
        assert any(after != before for after in found) is is_read, column
