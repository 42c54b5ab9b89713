"""What the whole day tells of a post: labels in force, habits of accounts, campaigns."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from bsky_assets.contracts import ConsolidatedPost
from bsky_assets.filters.config import FactsConfig, ListedAccount, facts_config
from bsky_assets.filters.facts import gathering as day
from bsky_assets.filters.facts.campaigns import sketch
from bsky_assets.storage.lake import Lake
from bsky_assets_tests.filters.posts import (
    DAY,
    LABELER,
    START,
    applied,
    label,
    lake_with,
    post,
)
from testbed.rows import post_uri

AUTHOR = "did:plc:someone"
URI = post_uri(AUTHOR, "k0")
END = START + timedelta(hours=12)


def facts(lake: Lake, config: FactsConfig | None = None) -> dict[tuple[str, int], str]:
    """What is found, by filter and row."""
    partition = lake.current(ConsolidatedPost, DAY)
    assert partition is not None
    with duckdb.connect() as con:
        found = day.gather(con, lake, DAY, partition.path, END, config or facts_config(), [LABELER])
    return {
        (name, row): reason
        for name, (rows, reasons) in found.items()
        for row, reason in zip(rows.tolist(), reasons.to_pylist(), strict=True)
    }


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([label(URI, "porn")], {("nsfw", 0): "label:porn"}),
        ([label(AUTHOR, "spam")], {("spam", 0): "label:spam account"}),
        ([label(URI, "intolerant")], {("hate_speech", 0): "label:intolerant"}),
        ([label(AUTHOR, "bot", AUTHOR)], {("bot", 0): "label:bot account"}),
        (
            [label(f"at://{AUTHOR}/app.bsky.actor.profile/self", "bot", AUTHOR)],
            {("bot", 0): "label:bot account"},
        ),
        ([label(f"at://{AUTHOR}/app.bsky.actor.profile/self", "porn")], {}),
        ([label(URI, "porn", "did:plc:stranger")], {}),
        ([label(AUTHOR, "bot", "did:plc:stranger")], {}),
        ([label(URI, "porn"), label(URI, "porn", neg=True, cts=END)], {}),
        (
            [label(URI, "porn", neg=True), label(URI, "porn", cts=START + timedelta(hours=1))],
            {("nsfw", 0): "label:porn"},
        ),
        ([label(URI, "porn"), label(URI, "porn", "did:plc:other", neg=True, cts=END)],
         {("nsfw", 0): "label:porn"}),
        ([label(URI, "porn", exp=START + timedelta(hours=1))], {}),
        ([label(URI, "porn", exp=END + timedelta(hours=1))], {("nsfw", 0): "label:porn"}),
        ([label(URI, "porn", cid="bafy0")], {("nsfw", 0): "label:porn"}),
        ([label(URI, "porn", cid="another")], {}),
        ([label(URI, "no-such-value")], {}),
    ],
)  # fmt: skip
def test_labels_in_force(
    tmp_path: Path, labels: list[dict[str, Any]], expected: Mapping[tuple[str, int], str]
) -> None:
    assert facts(lake_with(tmp_path, [post("a post")], labels)) == expected


def test_labels_that_the_author_or_a_feed_shows(tmp_path: Path) -> None:
    other = "did:plc:other"
    posts = [
        post("mine", record={"labels": ["nudity"]}),
        post("shown", other, 1, applied_labels=[applied(post_uri(other, "k1"), "porn")]),
        post("stranger", other, 2, applied_labels=[applied(URI, "porn", "did:plc:stranger")]),
        post("again", other, 3, applied_labels=[applied(other, "bot", other)]),
    ]
    assert facts(lake_with(tmp_path, posts)) == {
        ("nsfw", 0): "label:nudity self",
        ("nsfw", 1): "label:porn",
        ("bot", 3): "label:bot account",
    }


def test_a_label_that_a_feed_showed_can_be_taken_back_in_the_stream(tmp_path: Path) -> None:
    shown = post("shown", applied_labels=[applied(URI, "porn")])
    back = label(URI, "porn", neg=True, cts=START + timedelta(minutes=1))
    assert facts(lake_with(tmp_path, [shown], [back])) == {}


SOON, LATER, FUTURE = (
    START + timedelta(hours=1),
    START + timedelta(hours=2),
    datetime(2099, 1, 1, tzinfo=UTC),
)


def said(cts: datetime | None, received_at: datetime, **more: Any) -> dict[str, Any]:
    return label(URI, "porn", cts=cts, received_at=received_at, **more)


@pytest.mark.parametrize(
    ("labels", "is_stopped"),
    [
        ([said(FUTURE, SOON), said(LATER, LATER, neg=True)], False),
        ([said(FUTURE, SOON, neg=True), said(LATER, LATER)], True),
        ([said(FUTURE, SOON), said(LATER, LATER, neg=True), said(FUTURE, END)], False),
        ([said(None, LATER), said(SOON, SOON, neg=True)], True),
        ([said(None, SOON), said(LATER, LATER, neg=True)], False),
        ([said(SOON, LATER, seq=9, origin="a"), said(SOON, LATER, seq=1, neg=True)], False),
        ([said(SOON, LATER, seq=1, origin="a"), said(SOON, LATER, seq=9, neg=True)], False),
        ([said(SOON, LATER, seq=9, neg=True), said(LATER, LATER, seq=1, origin="a")], True),
    ],
)
def test_the_last_word_on_a_label_is_by_its_time_and_not_after_its_receipt(
    tmp_path: Path, labels: list[dict[str, Any]], is_stopped: bool
) -> None:
    expected = {("nsfw", 0): "label:porn"} if is_stopped else {}
    assert facts(lake_with(tmp_path, [post("a post")], labels)) == expected


def test_a_feeds_label_from_the_future_can_be_taken_back(tmp_path: Path) -> None:
    future = applied(URI, "porn") | {"cts": END + timedelta(days=400)}
    back = label(URI, "porn", neg=True, cts=START + timedelta(minutes=1))
    shown = post("shown", applied_labels=[future])
    assert facts(lake_with(tmp_path, [shown], [back])) == {}
    assert facts(lake_with(tmp_path / "alone", [shown])) == {("nsfw", 0): "label:porn"}


def many(
    author: str, count: int, text: str = "entry {n}", minutes: float = 47.3, **more: Any
) -> list[Any]:
    return [
        post(text.format(n="abcdefghijklmnopqrstuvwxyz"[n % 26] * (3 + n // 26)), author, n,
             at=START + timedelta(minutes=minutes * n), **more)
        for n in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("posts", "reason"),
    [
        (many("did:plc:a", 65, minutes=0.7), "rule:posts_an_hour"),
        (many("did:plc:b", 7, "the very same announcement as ever"), "rule:repeats_itself"),
        (many("did:plc:c", 14, "Weather report for the town of {n}"), "rule:fills_a_form"),
        (many("did:plc:d", 9, "{n}", minutes=30), "rule:clock"),
        (
            many("did:plc:e", 13, "{n} https://feed.example/{n}", minutes=17.13),
            "rule:link_feed",
        ),
    ],
)
def test_habits_of_bots(tmp_path: Path, posts: list[dict[str, Any]], reason: str) -> None:
    if reason != "rule:clock":
        for number, one in enumerate(posts):
            one["indexed_at"] += timedelta(
                seconds=37 * (number % 5) * (reason != "rule:posts_an_hour")
            )
    assert set(facts(lake_with(tmp_path, posts)).values()) == {reason}


@pytest.mark.parametrize(("fewer", "reason"), [(0, {"rule:posts_an_hour"}), (1, set())])
def test_as_many_posts_an_hour_as_the_limit_says_are_a_bots(
    tmp_path: Path, fewer: int, reason: set[str]
) -> None:
    count = facts_config().bot.posts_an_hour - fewer
    posts = many("did:plc:a", count, minutes=50 / count)
    for number, one in enumerate(posts):
        one["indexed_at"] += timedelta(seconds=(number * 7) % 23)
    assert set(facts(lake_with(tmp_path, posts)).values()) & {"rule:posts_an_hour"} == reason


def test_people_have_no_such_habits(tmp_path: Path) -> None:
    posts = many("did:plc:p", 25, "thinking about {n} and what to cook", minutes=23)
    for number, one in enumerate(posts):
        one["record"]["text"] = f"{'abcdefgh'[number % 8] * 4} {one['record']['text']}"
        one["indexed_at"] += timedelta(minutes=(number * 7) % 11)
    assert facts(lake_with(tmp_path, posts)) == {}


def test_repetition_shows_over_the_look_back_window(tmp_path: Path) -> None:
    again = "our shop opens again tomorrow at nine"
    earlier = {DAY - timedelta(days=back): [post(again, AUTHOR, back)] for back in range(1, 7)}
    assert facts(lake_with(tmp_path, [post(again)], earlier=earlier)) == {
        ("bot", 0): "rule:repeats_itself"
    }
    assert facts(lake_with(tmp_path / "alone", [post(again)])) == {}


def test_lists_come_before_habits(tmp_path: Path) -> None:
    config = facts_config()
    lists = {
        "deny": (ListedAccount(handle="*.mirror.test", reason="mirror"),),
        "allow": (ListedAccount(did="did:plc:a", reason="newsroom"),),
    }
    listed = config.model_copy(update={"bot": config.bot.model_copy(update=lists)})
    posts = [
        *many("did:plc:a", 65, minutes=0.7),
        post("hello", "did:plc:m", handle="x.mirror.test"),
    ]
    assert facts(lake_with(tmp_path, posts), listed) == {("bot", 65): "list:mirror"}


TEXT = "A wonderful course in pottery starts on Friday at the old mill by the river {}"


def test_campaigns_need_accounts_and_texts_alike(tmp_path: Path) -> None:
    alike = [post(TEXT.format(n), f"did:plc:{n}", n) for n in range(6)]
    few = [post(TEXT.format(n), f"did:plc:{n % 3}", n) for n in range(6)]
    assert set(facts(lake_with(tmp_path / "alike", alike))) == {("campaign", n) for n in range(6)}
    assert facts(lake_with(tmp_path / "few", few)) == {}


def test_campaigns_that_lead_to_one_host_are_spam(tmp_path: Path) -> None:
    def posts(address: str) -> list[dict[str, Any]]:
        return [
            post(f"{TEXT.format('')} {address.format(n=n)}", f"did:plc:{n}", n) for n in range(6)
        ]

    same = facts(lake_with(tmp_path / "same", posts("https://pots.example/{n}")))
    assert same == {("spam", n): "rule:campaign" for n in range(6)}
    each = facts(lake_with(tmp_path / "each", posts("https://site{n}.example/")))
    assert set(each) == {("campaign", n) for n in range(6)}


def test_sharing_a_headline_is_no_campaign_that_leads_somewhere(tmp_path: Path) -> None:
    card = {"kind": "app.bsky.embed.external", "link_uri": "https://news.example/a",
            "link_title": TEXT, "alt_texts": []}  # fmt: skip
    posts = [post(TEXT, f"did:plc:{n}", n, record={"embed": card}) for n in range(6)]
    assert {name for name, _ in facts(lake_with(tmp_path, posts))} == {"campaign"}


def test_campaigns_do_not_depend_on_the_order_of_the_posts(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    posts = []
    for n in range(120):
        words = TEXT.format("tomorrow evening").split()
        for place in rng.choice(len(words), rng.integers(0, 6), replace=False):
            words[place] = f"word{rng.integers(100)}x"
        posts.append(post(" ".join(words), f"did:plc:{n}", n))
    found = []
    for number in range(4):
        rng.shuffle(posts)
        rows = {row for _, row in facts(lake_with(tmp_path / str(number), posts))}
        found.append({posts[row]["uri"] for row in rows})
    assert 0 < len(found[0]) < len(posts)
    assert found == [found[0]] * len(found)


WORDS = st.lists(st.sampled_from([f"{a}{b}{c}ord" for a in "wbk" for b in "aeiou" for c in "xlnr"]),
                 min_size=8, max_size=30)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=2, max_size=6))
def test_sketches_agree_about_as_often_as_texts_share_words(texts: list[list[str]]) -> None:
    """Equal sets always agree; on the whole agreement follows the Jaccard similarity."""
    sketches = sketch(pa.array([" ".join(words) for words in texts]))
    for one, two in combinations(range(len(texts)), 2):
        shared = _jaccard(texts[one], texts[two])
        agreed = float(np.mean(sketches[one] == sketches[two]))
        assert agreed == 1 if shared == 1 else abs(agreed - shared) < 0.75


def test_sketches_are_unbiased() -> None:
    rng = np.random.default_rng(3)
    vocabulary = [
        f"{a}{b}{c}{d}ord" for a in "wbkm" for b in "aeiou" for c in "xlnr" for d in "stv"
    ]
    texts = [list(rng.choice(vocabulary, 40, replace=False)) for _ in range(60)]
    sketches = sketch(pa.array([" ".join(words) for words in texts]))
    pairs = list(combinations(range(len(texts)), 2))
    exact = np.mean([_jaccard(texts[one], texts[two]) for one, two in pairs])
    found = np.mean([np.mean(sketches[one] == sketches[two]) for one, two in pairs])
    assert abs(exact - found) < 0.02


def test_sketches_agree_with_those_of_another_library() -> None:
    """Datasketch hashes the same shingles its own way; both see the same texts as near."""
    rng = np.random.default_rng(5)
    words = [f"{a}{b}{c}{d}ord" for a in "wbkm" for b in "aeiou" for c in "xlnr" for d in "stv"]
    base = list(rng.choice(words, 30, replace=False))
    texts = [
        [*base[changed:], *rng.choice(words, changed)]
        for _ in range(8)
        for changed in range(0, 30, 2)
    ]
    others = MinHash.bulk(
        [[shingle.encode() for shingle in _shingles(text)] for text in texts], num_perm=256
    )
    sketches = sketch(pa.array([" ".join(text) for text in texts]))
    found: dict[int, list[float]] = {}
    for number, (one, other) in enumerate(zip(sketches, others, strict=True)):
        agreed = float(np.mean(sketches[0] == one)) - others[0].jaccard(other)
        found.setdefault(number % 15, []).append(agreed)
    assert abs(np.mean([np.mean(errors) for errors in found.values()])) < 0.05
    assert all(abs(np.mean(errors)) < 0.15 for errors in found.values())


def _jaccard(one: list[str], two: list[str]) -> float:
    return len(_shingles(one) & _shingles(two)) / len(_shingles(one) | _shingles(two))


def _shingles(words: list[str]) -> set[str]:
    """What a sketch is over: the first eight bytes from the beginning of each word."""
    text = " ".join(words) + " " * 8
    return {text[at : at + 8] for at in range(len(text) - 8) if at == 0 or text[at - 1] == " "
            if text[at] != " "}  # fmt: skip
