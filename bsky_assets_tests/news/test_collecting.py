"""Articles: each once, whoever has it; a source that gives nothing stops nothing."""

import csv
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bsky_assets.contracts.details import NewsDetails
from bsky_assets.contracts.news import NewsArticle
from bsky_assets.news import fetching, pages
from bsky_assets.news.collecting import collect_news
from bsky_assets.news.items import canonical, make_item, plain
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import sync_day_of, today
from bsky_assets_tests.news.hosts import (
    NewsHost,
    ago,
    articles,
    rss,
    settings_of,
)
from bsky_assets_tests.support.serving import served

BODY = (
    "Students at Harrow College left their lessons on Tuesday to protest against the closing of "
    "the library, and teachers joined them in the square after noon, the agency reports."
)


@pytest.fixture
def host() -> Iterator[tuple[NewsHost, str]]:
    news = NewsHost()
    with served(news.app()) as url:
        yield news, url


def collect(settings: Settings) -> Partition:
    with duckdb.connect() as con:
        return collect_news(con, Lake.of(settings), settings, today(settings.timezone))


def test_an_article_in_many_outlets_is_one_and_reading_again_adds_nothing(
    tmp_path: Path, host: tuple[NewsHost, str]
) -> None:
    news, url = host
    news.pages["a"] = rss(
        ("https://www.a.example/walkout/?utm_source=rss", "Walkout at Harrow", BODY, ago(3)),
        ("http://a.example/walkout#top", "Walkout at Harrow", BODY, ago(3)),
        ("https://a.example/other", "Roses bloom early in the park this year", "", ago(2)),
    )
    news.pages["b"] = rss(
        ("https://b.example/1", "Walkout at Harrow College", f"<p>{BODY}</p>", ago(1))
    )
    settings = settings_of(tmp_path, {"a:left": f"{url}/a", "b": f"{url}/b"})
    first = collect(settings).told(NewsDetails).readings
    assert (first["a"].added, first["a"].known, first["b"].copies) == (2, 1, 1)
    found = {row["title"]: row for row in articles(settings)}
    assert sorted(found) == ["Roses bloom early in the park this year", "Walkout at Harrow"]
    walkout = found["Walkout at Harrow"]
    assert walkout["url"] == "https://a.example/walkout"
    assert [(one["name"], one["side"]) for one in walkout["outlets"]] == [
        ("a", "left"),
        ("b", None),
    ]
    news.pages["a"] = rss(("https://a.example/walkout", "UPDATED: Walkout", "Now new.", ago(0)))
    again = collect(settings).told(NewsDetails).readings
    assert (again["a"].added, again["a"].updated, again["b"].known) == (0, 1, 1)
    assert articles(settings) == [found[row["title"]] for row in articles(settings)]


def test_what_is_of_another_time_or_has_no_name_is_left_out_and_counted(
    tmp_path: Path, host: tuple[NewsHost, str]
) -> None:
    news, url = host
    news.pages["a"] = rss(
        ("https://a.example/1", "Tomorrow's election result is known", "", ago(-30)),
        ("https://a.example/2", "The moon landing happened long ago", "", ago(24 * 400)),
        ("https://a.example/3", "", "no title", ago(1)),
        ("javascript:alert(1)", "An address that is none of ours", "", ago(1)),
        ("https://a.example/4", "No date is given for this one here", "", None),
    )
    settings = settings_of(tmp_path, {"a": f"{url}/a"})
    told = collect(settings).told(NewsDetails).readings["a"]
    assert (told.from_the_future, told.too_old, told.unusable, told.added) == (1, 1, 2, 1)
    (row,) = articles(settings)
    assert not row["is_dated"]
    assert row["published_at"] == row["received_at"]


def test_an_update_dates_an_article_by_the_words_that_it_has(
    tmp_path: Path, host: tuple[NewsHost, str]
) -> None:
    news, url = host
    news.pages["a"] = (
        '<feed xmlns="http://www.w3.org/2005/Atom"><entry><link href="https://a.example/1"/>'
        f"<title>Vote count goes on</title><published>{ago(9).isoformat()}</published>"
        f"<updated>{ago(2).isoformat()}</updated></entry></feed>"
    )
    settings = settings_of(tmp_path, {"a": f"{url}/a"})
    collect(settings)
    (row,) = articles(settings)
    assert abs(row["published_at"] - ago(2)) < timedelta(seconds=1)


def test_a_source_that_gives_nothing_is_told_in_one_line_and_stops_no_other(
    tmp_path: Path, host: tuple[NewsHost, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    news, url = host
    monkeypatch.setattr(fetching, "MOST_BYTES", 5_000)
    good = rss(("https://a.example/1", "The one that can be read as it is", "", ago(1)))
    secret = tmp_path / "secret.txt"
    secret.write_text(rss(("https://a.example/s", "A secret that is in a file", "", ago(1))))
    bomb = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10 if n else "lol"}">' for n in range(12))
    news.pages |= {
        "good": good,
        "moved": "/good2",
        "good2": good.replace("a.example/1", "b.example/2").replace("The one", "Another story"),
        "circle": "/circle",
        "long": good + "x" * 6_000,
        "broken": good.replace("a.example/1", "c.example/3").replace("The one", "Half of one")[
            :-30
        ],
        "bomb": f"<!DOCTYPE r [{bomb}]><rss><channel><title>&a11;</title></channel></rss>",
        "outside": f'<!DOCTYPE r [<!ENTITY x SYSTEM "file://{secret}">]><rss version="2.0">'
        "<channel><item><link>https://a.example/x</link><title>t &x;</title></item></channel>"
        "</rss>",
        "path": str(secret).replace("/", "file:///", 1),
        "page": "<html><body>Not found, but 200</body></html>",
        "empty": "",
    }
    names = [*news.pages, "dead"]
    feeds = {name: f"{url}/{name}" for name in names}
    feeds |= {"down": "http://127.0.0.1:9/x", "nofile": str(tmp_path / "none.csv")}
    settings = settings_of(tmp_path, feeds)
    told = collect(settings).told(NewsDetails).readings
    assert set(told) == set(feeds)
    well = {name for name, reading in told.items() if reading.problem is None}
    assert well <= {"good", "moved", "good2", "outside"}
    assert well >= {"good", "moved", "good2"}
    for reading in told.values():
        assert "\n" not in (reading.problem or "")
        assert url not in (reading.problem or "")
    assert "404" in str(told["dead"].problem)
    assert "longer than" in str(told["long"].problem)
    assert "neither RSS nor Atom" in str(told["page"].problem) or told["page"].problem
    assert "secret" not in str(articles(settings))
    titles = {row["title"] for row in articles(settings)}
    assert titles >= {"The one that can be read as it is"}


def test_a_file_gives_each_day_its_own_and_an_article_list_of_gdelt_is_read(
    tmp_path: Path, host: tuple[NewsHost, str]
) -> None:
    news, url = host
    seen = ago(1).strftime("%Y%m%dT%H%M%SZ")
    news.pages["gdelt"] = json.dumps(
        {
            "articles": [
                {
                    "url": "https://g.example/1",
                    "title": "Council passes the budget of Lund",
                    "seendate": seen,
                    "domain": "g.example",
                    "language": "English",
                },
                "odd",
            ]
        }
    )
    rows = [
        {"title": f"Day {n} of the talks", "text": "", "url": f"https://f.example/{n}",
         "outlet": "F", "published": ago(24 * n).isoformat()}
        for n in range(4)
    ]  # fmt: skip
    lines, sheet = tmp_path / "a.jsonl", tmp_path / "b.csv"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    feeds = {"gdelt": f"{url}/gdelt", "lines": str(lines), "sheet": str(sheet)}
    settings = settings_of(tmp_path / "data", feeds)
    lake = Lake.of(settings)
    day = today(settings.timezone)
    with duckdb.connect() as con:
        for back in (0, 2):
            collect_news(con, lake, settings, day - timedelta(days=back))
    assert len(news.asked) == 1
    found = articles(settings)
    assert {row["source"] for row in found} == {"gdelt", "file"}
    for row in found:
        assert row["source"] == "gdelt" or row["outlets"][0]["name"] == "F"
    stored = {row["url"][-1] for row in found if row["source"] == "file"}
    days = {
        n for n in range(4) if (day - sync_day_of(ago(24 * n), settings.timezone)).days in (0, 2)
    }
    assert stored == {str(n) for n in days}
    assert [row["language"] for row in found if row["source"] == "gdelt"] == ["en"]
    assert lake.current(NewsArticle, day - timedelta(days=1)) is None


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.text(), st.text())
def test_no_text_breaks_an_article_and_none_keeps_markup_or_control_characters(
    url: str, text: str
) -> None:
    made = make_item(f"https://a.example/{url}", text, f"<p>{text}<script>bad()</script></p>")
    shown = plain(f"<b>{text}", 100)
    assert len(shown) <= 100
    assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)
    again = canonical(made.url) if made else None
    assert made is None or again == made.url


def test_settings_of_news_that_cannot_be_meant_are_refused() -> None:
    for value, says in (
        ("nothing", "expected name=url"),
        ("a:up=https://x.example", "is no side"),
        ("a=https://x.example,a=https://y.example", "stands twice"),
        ("a=https://me:secret@x.example", "no user"),
    ):
        with pytest.raises(ValueError, match=says) as told:
            Settings(_env_file=None, news_feeds=value)
        assert "secret" not in str(told.value.errors()[0]["msg"])


def page(*paragraphs: str) -> str:
    """An article's page as outlets make them, with what no reader is after."""
    told = "".join(f"<p>{one}</p>" for one in paragraphs)
    return (
        "<html><head><title>x</title><script>evil()</script></head><body><nav>Home About</nav>"
        f"<article><h1>Walkout</h1>{told}</article><footer>Cookies, imprint</footer>"
        "</body></html>"
    )


def test_a_page_is_read_for_its_text_only_where_terms_and_robots_allow_it(
    tmp_path: Path, host: tuple[NewsHost, str]
) -> None:
    news, url = host
    told = [f"{BODY} This is paragraph {number} of it." for number in range(4)]
    other = "Roses bloom early in the park this year, and gardeners are glad of it all. " * 3
    news.pages |= {
        "robots.txt": "User-agent: *\nDisallow: /private",
        "open": page(*told),
        "private/1": page("What is private is written here at some length, and is not read."),
        "moved": "/private/1",
        "away": "http://127.0.0.1:9/elsewhere",
        "long": "x" * 4_000_000,
        "feed": rss(
            (f"{url}/open", "Walkout at Harrow College", "In short.", ago(5)),
            (f"{url}/private/1", "A private matter of the council", "In short.", ago(4)),
            (f"{url}/moved", "The page that has been moved away", "In short.", ago(4)),
            (f"{url}/gone", "Nothing is left of this one here", "In short.", ago(3)),
            (f"{url}/long", "An endless story goes on and on", "In short.", ago(3)),
            ("http://127.0.0.1:9/x", "A host that was not named at all", other, ago(2)),
        ),
    }
    feeds = {"a": f"{url}/feed"}
    collect(settings_of(tmp_path / "none", feeds))
    assert news.asked == ["feed"], "no page is read unless it is said that one may"
    allowed = settings_of(tmp_path, feeds, news_pages=url.removeprefix("http://"))
    reading = collect(allowed).told(NewsDetails).readings["a"]
    assert (reading.added, reading.pages, reading.problem) == (6, 1, None)
    texts = {row["title"]: row["text"] for row in articles(allowed)}
    walkout = texts.pop("Walkout at Harrow College")
    assert all(one in walkout for one in told)
    assert not any(word in walkout for word in ("evil", "Cookies", "About", "In short"))
    assert texts.pop("A host that was not named at all").startswith("Roses bloom")
    assert {*texts.values()} == {"In short."}
    assert news.asked.count("robots.txt") == 1
    assert "private/1" not in news.asked
    again = collect(allowed).told(NewsDetails).readings["a"]
    assert (again.known, again.updated, again.pages) == (6, 0, 0)
    assert news.asked.count("open") == 1, "what is stored is not asked for again"


def test_without_its_reader_or_robots_no_page_is_read_and_one_line_says_so(
    tmp_path: Path, host: tuple[NewsHost, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    news, url = host
    news.pages |= {
        "open": page(BODY, BODY),
        "feed": rss((f"{url}/open", "Walkout at Harrow College", "In short.", ago(5))),
        "robots.txt": web.Response(status=503),
    }
    named = {"news_pages": url.removeprefix("http://")}
    settings = settings_of(tmp_path / "robots", {"a": f"{url}/feed"}, **named)
    assert collect(settings).told(NewsDetails).readings["a"].pages == 0
    assert "open" not in news.asked, "whose robots.txt cannot be had allows nothing"
    monkeypatch.setattr(pages, "find_spec", lambda _: None)
    settings = settings_of(tmp_path / "reader", {"a": f"{url}/feed"}, **named)
    reading = collect(settings).told(NewsDetails).readings["a"]
    assert (reading.added, reading.pages) == (1, 0)
    assert "pip install" in str(reading.problem)
