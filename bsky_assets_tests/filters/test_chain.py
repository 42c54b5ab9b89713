"""A day through the whole chain: every post has a verdict, and no failure lets anything through."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import orjson
import pytest

import bsky_assets
from bsky_assets.contracts import ConsolidatedPost, FilteredPost, arrow_schema, changes
from bsky_assets.contracts.changes import Made
from bsky_assets.filters import workers
from bsky_assets.filters.chain import FilterFailed, NothingToFilter, filter_day
from bsky_assets.filters.config import config_version, trained_model_path
from bsky_assets.filters.judging.nsfw import NsfwFilter
from bsky_assets.filters.measuring import canaries
from bsky_assets.filters.registry import chain
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.shape import ContractViolation
from bsky_assets.storage.sql import read_parquet
from bsky_assets_tests.filters.posts import (
    DAY,
    label,
    lake_with,
    post,
    rows_of,
    settings_in,
)
from testbed.rows import post_uri

VERDICTS = [f"is_{one.name}" for one in chain()]
POSTS = [
    post("The council voted last night to delay the new housing plan", "did:plc:a", 0),
    post("bom dia meus amigos, hoje vai ser um dia muito longo", "did:plc:b", 1),
    post("Watch free porn here tonight my friends", "did:plc:c", 2),
    post("I made $5,000 in a week working from home, DM me on WhatsApp", "did:plc:d", 3),
    post("All immigrants are vermin and I hate them", "did:plc:e", 4),
    post("A perfectly ordinary remark about the weather today", "did:plc:f", 5),
    post("😀", "did:plc:g", 6),
]
LABELS = [label("did:plc:f", "bot", "did:plc:f"), label(post_uri("did:plc:c", "k2"), "porn")]
STOPPED_BY = [None, "english", "nsfw", "spam", "hate_speech", "bot", "english"]


Day = tuple[list[dict[str, object]], dict[str, object]]
"""The rows of a filtered day, and its details."""


def filtered(folder: Path, lake: Lake) -> Day:
    with duckdb.connect() as con:
        partition = filter_day(con, lake, DAY, settings_in(folder))
    return rows_of(partition.path), dict(partition.details)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    """The rows and details of `POSTS` and `LABELS`; for looking at only."""
    folder = tmp_path_factory.mktemp("day")
    return filtered(folder, lake_with(folder, POSTS, LABELS))


def test_each_post_gets_one_verdict_and_a_reason(day: Day) -> None:
    rows, details = day
    assert [row["filtered_by_func"] for row in rows] == STOPPED_BY
    assert [row["passed_filters"] for row in rows] == [by is None for by in STOPPED_BY]
    assert [row["uri"] for row in rows] == [one["uri"] for one in POSTS]
    assert rows[2]["filter_reason"] == "label:porn"
    assert rows[5]["filter_reason"] == "label:bot account"
    assert str(rows[1]["filter_reason"]).startswith("language:pt p=")
    assert {row["filter_version"] for row in rows} == {details["filter_version"]}


def test_only_what_passes_one_filter_reaches_the_next(day: Day) -> None:
    rows, _ = day
    for row in rows:
        verdicts = [row[name] for name in VERDICTS]
        good = [name == "is_english" for name in VERDICTS]
        stopped = [v is not None and v != g for v, g in zip(verdicts, good, strict=True)]
        reached = stopped.index(True) + 1 if any(stopped) else len(verdicts)
        assert None not in verdicts[:reached]
        assert set(verdicts[reached:]) <= {None}
        assert (row["filtered_by_func"] is None) == (not any(stopped))
        assert (row["filter_reason"] is None) == (not any(stopped))


def test_posts_of_a_language_that_is_asked_for_are_judged_by_every_filter_and_pass_no_more(
    tmp_path: Path,
) -> None:
    spanish = "no puedo creer que ya sea domingo otra vez, qué rápido pasa la semana"
    posts = [*POSTS, *(post(f"{spanish} {n}", f"did:plc:s{n}", 10 + n) for n in range(2))]
    labels = [*LABELS, label(post_uri("did:plc:s1", "k11"), "porn")]
    lake = lake_with(tmp_path, posts, labels)
    settings = settings_in(tmp_path)
    both = settings.model_copy(update={"languages": ("en", "es")})
    with duckdb.connect() as con:
        one = rows_of(filter_day(con, lake, DAY, settings).path)
        made = filter_day(con, lake, DAY, both)
        two = rows_of(made.path)
    for alone, more in zip(one, two, strict=True):
        is_spanish = more["language"] == "es"
        assert is_spanish == (spanish in more["record"]["text"])
        for name in ("passed_filters", "filtered_by_func", "filter_reason", "is_english"):
            assert more[name] == alone[name]
        if not is_spanish:
            assert [more[name] for name in VERDICTS] == [alone[name] for name in VERDICTS]
    others = [name for name in VERDICTS if name != "is_english"]
    assert {row[name] for row in one[-2:] for name in others} == {None}
    kept, porn = two[-2:]
    assert [kept[name] for name in others] == [False] * len(others)
    assert porn["is_nsfw"] is True
    assert porn["filtered_by_func"] == "english"
    assert one[0]["filter_version"] != two[0]["filter_version"]
    assert made.details["passed"] == 1


def test_the_funnel_adds_up(day: Day) -> None:
    _, details = day
    reached = details["posts"]
    assert [step["filter"] for step in details["funnel"]] == [one.name for one in chain()]
    for step in details["funnel"]:
        assert step["reached"] == reached
        assert step["stopped"] == sum(step["reasons"].values())
        reached = step["passed"] = step["reached"] - step["stopped"]
    assert details["passed"] == reached == 1
    assert sum(details["languages"].values()) == len(POSTS)


def test_worker_processes_come_to_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, day: Day
) -> None:
    lake = lake_with(tmp_path, POSTS, LABELS)
    alone, _ = day
    monkeypatch.setattr(workers, "_IN_PROCESS_ROWS", 0)
    shared, _ = filtered(tmp_path, lake)
    said = ("uri", "filter_reason", "language", "language_probability", *VERDICTS)
    assert [[row[name] for name in said] for row in shared] == [
        [row[name] for name in said] for row in alone
    ]


def test_a_filter_that_raises_stops_the_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = lake_with(tmp_path, POSTS)
    monkeypatch.setattr(canaries, "check", lambda _: [])
    monkeypatch.setattr(NsfwFilter, "judge", lambda *_: 1 / 0)
    with pytest.raises(FilterFailed, match="filter nsfw: ZeroDivisionError"):
        filtered(tmp_path, lake)
    assert lake.current(FilteredPost, DAY) is None


def test_a_day_without_posts(tmp_path: Path) -> None:
    with pytest.raises(NothingToFilter, match="no consolidated posts on 2026-03-08"):
        filtered(tmp_path, Lake(tmp_path / "lake"))
    assert filtered(tmp_path, lake_with(tmp_path, []))[0] == []


def test_posts_of_an_earlier_contract_are_filtered_like_todays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, day: Day
) -> None:
    """The text had another name, and likes were not counted yet."""
    expected, _ = day
    lake = lake_with(tmp_path / "then", POSTS, LABELS)
    partition = lake.current(ConsolidatedPost, DAY)
    assert partition is not None
    with duckdb.connect() as con:
        con.execute(
            f"CREATE TABLE posts AS SELECT * EXCLUDE (record, metrics), struct_pack("
            f"body := record.text, {', '.join(f'{n} := record.{n}' for n in _record_fields())}) "
            f"AS record FROM {read_parquet([partition.path])}"
        )
        con.execute(f"COPY posts TO '{partition.path}'")
    pointer = partition.path.parent / "current.json"
    stored = orjson.loads(pointer.read_bytes())
    pointer.write_bytes(orjson.dumps(stored | {"contract": "earlier"}))
    with pytest.raises(ContractViolation, match=r"column record\.text should be string"):
        filtered(tmp_path / "then", lake)
    stated = (Made((ConsolidatedPost.asset,), "record.text", "{record.body}"),)
    monkeypatch.setattr(changes, "CHANGES", stated)
    rows, _ = filtered(tmp_path / "then", lake)
    said = ("uri", "record", "filter_reason", "language", *VERDICTS)
    assert [[row[name] for name in said] for row in rows] == [
        [row[name] for name in said] for row in expected
    ]
    assert [path.name for path in lake.root.glob(".upcast-*")] == []


def _record_fields() -> list[str]:
    kind = arrow_schema(ConsolidatedPost).field("record").type
    return [field.name for field in kind if field.name != "text"]


def test_canaries_are_asked_again_when_something_is_another_and_after_they_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def check(settings: Settings) -> list[canaries.CanaryFailure]:
        asked.append(model.read_text())
        flipped = canaries.CanaryFailure("spam", "any", "passed", "stopped")
        return [flipped] if asked[-1] == "three" else []

    monkeypatch.setattr(canaries, "check", check)
    settings = settings_in(tmp_path)
    model = trained_model_path("spam", settings)
    model.parent.mkdir(parents=True)
    for content in ("one", "one", "two", "two", "one"):
        model.write_text(content)
        canaries.require(settings)
    model.write_text("three")
    for _ in range(2):
        with pytest.raises(canaries.CanariesFailed, match="filter spam"):
            canaries.require(settings)
    assert asked == ["one", "two", "three", "three"]


def test_canaries_sing() -> None:
    assert canaries.check() == []


def test_the_version_follows_models_and_trusted_labelers(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    before = config_version(settings)
    assert config_version(settings) == before
    model = trained_model_path("spam", settings)
    model.parent.mkdir(parents=True)
    model.write_bytes(b"another")
    assert config_version(settings) != before
    assert config_version(settings.model_copy(update={"trusted_labelers": ()})) != before


def _remove(path: str) -> Callable[[Path], None]:
    return lambda package: (package / path).unlink()


def _empty(path: str) -> Callable[[Path], None]:
    return lambda package: (package / path).write_bytes(b"")


def _swap(path: str, old: str, new: str) -> Callable[[Path], None]:
    def change(package: Path) -> None:
        text = (package / path).read_text()
        assert old in text
        (package / path).write_text(text.replace(old, new))

    return change


def scratch_copy(folder: Path) -> Path:
    """The package with filters and contracts of its own, to be changed; the rest as it is."""
    package, copy = Path(bsky_assets.__file__).parent, folder / "bsky_assets"
    copy.mkdir()
    for part in package.iterdir():
        if part.name in ("filters", "contracts"):
            shutil.copytree(part, copy / part.name)
        else:
            (copy / part.name).symlink_to(part)
    return copy


def run_in(folder: Path, program: str) -> list[str]:
    """What a program prints that finds the copy in `folder` first."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(folder), "BSKY_DATA_DIR": str(folder / "data")},
        capture_output=True, text=True, check=True, cwd=folder,
    ).stdout.splitlines()  # fmt: skip


@pytest.mark.scenario
@pytest.mark.parametrize(
    ("break_it", "named"),
    [
        (_remove("judging/nsfw.toml"), "nsfw"),
        (_swap("judging/spam.toml", "shorteners = [", "shorteners = []\nunused = ["), "spam"),
        (_empty("models/lid.176.ftz"), "english"),
        (
            _swap("judging/nsfw.py", "pc.match_substring_regex(content, self._any)",
                  "pc.equal(content, self._any)"),
            "nsfw",
        ),
        (
            _swap("judging/hate_speech.py", "pc.match_substring_regex(texts, self._named)",
                  "pc.equal(texts, self._named)"),
            "hate_speech",
        ),
        (_swap("judging/bot.toml", 'labels = [\n  "bot"', 'labels = [\n  "no-such-label"'), "bot"),
        (_swap("config.toml", "posts_an_hour = 60", "posts_an_hour = 6000"), "bot"),
    ],
)  # fmt: skip
def test_a_broken_filter_is_named(
    tmp_path: Path, break_it: Callable[[Path], None], named: str
) -> None:
    copy = scratch_copy(tmp_path)
    break_it(copy / "filters")
    told = run_in(
        tmp_path,
        "from bsky_assets.filters.measuring import canaries\nfor f in canaries.check(): print(f)",
    )
    assert told
    assert all(line.startswith(f"filter {named}: ") for line in told)


def test_the_contract_of_the_day_is_kept(day: Day) -> None:
    rows, _ = day
    assert list(rows[0]) == list(FilteredPost.model_fields)
    assert set(ConsolidatedPost.model_fields) < set(rows[0])


SHOUTING_PY = """
import pyarrow as pa
import pyarrow.compute as pc
from bsky_assets.filters.verdicts import Verdicts
from bsky_assets.filters.words.lexicon import any_of, words


class Shouting:
    name, passes_if = "shouting", False

    def judge(self, posts):
        loud = pc.match_substring_regex(posts.folded, any_of(words("shouting", "loud")))
        reason = pc.if_else(loud, "rule:loud", pa.scalar(None, pa.string()))
        return Verdicts(reason)


def make(config, sources):
    return Shouting()
"""
SHOUTING_TOML = """
loud = ["hooray", "yippee"]

[filter]
position = 35
description = "Shouted; null where not reached."
reads = []
labels = ["noise"]
trained_from = 0.8

[reasons]
"rule:loud" = "a loud word"

[canaries]
stopped = ["hooray for the team"]
passed = ["good evening"]
[canaries.entries]
loud = 2
"""
ASK = """
import duckdb, json
from datetime import date
from pathlib import Path
from bsky_assets.contracts import FilteredPost
from bsky_assets.filters.chain import filter_day
from bsky_assets.filters.config import config_version
from bsky_assets.filters.measuring import canaries
from bsky_assets.filters.measuring.training import trainable
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake

settings, con = Settings(data_dir=Path("data")), duckdb.connect()
lake = Lake(Path("data/lake"))
partition = filter_day(con, lake, date(2026, 3, 8), settings)
rows = lake.relation(con, FilteredPost, [partition.day])
print(json.dumps({
    "version": config_version(settings),
    "canaries": [str(one) for one in canaries.check(settings)],
    "funnel": [step["filter"] for step in partition.details["funnel"]],
    "seen": rows.project("filtered_by_func, is_shouting, is_spam").order("ALL").fetchall(),
    "described": FilteredPost.model_fields["is_shouting"].description,
    "trained_from": trainable("shouting").trained_from,
}))
"""


@pytest.mark.scenario
def test_a_new_filter_is_one_file_and_its_words(tmp_path: Path) -> None:
    copy = scratch_copy(tmp_path)
    (copy / "filters" / "judging" / "shouting.py").write_text(SHOUTING_PY)
    (copy / "filters" / "judging" / "shouting.toml").write_text(SHOUTING_TOML)
    posts = [
        post("hooray, the team has won the match tonight", "did:plc:a", 0),
        post("the match was over before we got to the ground", "did:plc:b", 1),
    ]
    lake_with(tmp_path / "data", posts)
    told = orjson.loads(run_in(tmp_path, ASK)[-1])
    assert told["funnel"] == ["english", "bot", "nsfw", "shouting", "spam", "hate_speech"]
    assert told["seen"] == [["shouting", True, None], [None, False, False]]
    assert told["described"] == "Shouted; null where not reached."
    assert (told["canaries"], told["trained_from"]) == ([], 0.8)
    assert told["version"] != config_version(settings_in(tmp_path))
