"""Reading the sources of BSKY_NEWS_FEEDS into the day's `news_articles`.

A feed or a list can be read now and at no other time, and goes to today's partition; a file gives
each day the articles that were published on it. An article is added only if it is absent from the
days of the window: by its address, and by its words. The first words stay when it is updated.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from bsky_assets.contracts import arrow_schema
from bsky_assets.contracts.details import NewsDetails, NewsReading
from bsky_assets.contracts.news import NewsArticle
from bsky_assets.news.copies import Copies
from bsky_assets.news.fetching import Source
from bsky_assets.news.items import Item
from bsky_assets.news.pages import Pages
from bsky_assets.news.sources import UnreadableNews, kind_of
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.locks import exclusive
from bsky_assets.storage.partition import Partition
from bsky_assets.sync_day import now, sync_day_of

_CLOCKS_DIFFER = timedelta(minutes=5)


@dataclass
class _Read:
    """What one reading of one source brought."""

    source: Source
    at: datetime
    kind: str = ""
    items: list[Item] = field(default_factory=list)
    told: NewsReading = field(default_factory=NewsReading)


def collect_news(
    con: duckdb.DuckDBPyConnection,
    lake: Lake,
    settings: Settings,
    day: date,
    at: datetime | None = None,
) -> Partition:
    """Read what there is for `day`, and add what is absent; `at` is when that is, now by default.

    A source that is down, broken or too long stops no other: its reading has a `problem`.

    Raises:
        UnusableDataDirectory: the partition cannot be written.
    """
    at = at or now()
    is_today = day == sync_day_of(at, settings.timezone)
    sources = [Source.of(name, place) for name, place in settings.news_feeds.items()]
    reads = [_read(source, at) for source in sources if source.is_file or is_today]
    with exclusive(lake.root / NewsArticle.asset):
        days = [day - timedelta(days=back) for back in range(settings.news_window_days + 1)]
        shelf = _Shelf(settings, day, _stored(con, lake, days, day))
        readings = {read.source.name: shelf.take(read) for read in reads}
        if not is_today and (before := lake.current(NewsArticle, day)):
            readings = {**before.told(NewsDetails).readings, **readings}
        rows = pa.Table.from_pylist(shelf.rows(), schema=arrow_schema(NewsArticle))
        return lake.write(NewsArticle, day, rows, NewsDetails(readings=readings))


def _read(source: Source, at: datetime) -> _Read:
    read, unusable = _Read(source, at), 0
    problem: str | None = None
    try:
        content = source.content()
        kind = kind_of(source.place, content)
        read.kind = kind.name
        for item in kind.read(source.place, content):
            if item is None:
                unusable += 1
            else:
                read.items.append(item)
    except UnreadableNews as error:
        problem = str(error)
    except ValueError as error:
        problem = f"{source.name}: {error}"
    if problem is None and not read.items:
        problem = f"{source.name}: it has no article"
    read.told = NewsReading(
        host=source.host,
        kind=read.kind or None,
        read_at=read.at.isoformat(),
        items=len(read.items),
        unusable=unusable,
        problem=problem,
    )
    return read


def _stored(
    con: duckdb.DuckDBPyConnection, lake: Lake, days: Iterable[date], day: date
) -> Iterator[tuple[dict[str, Any], bool]]:
    """The articles of `days`, those of `day` first, and whether each is of `day`."""
    for one in days:
        rows = lake.relation(con, NewsArticle, [one]).to_arrow_table()
        for row in rows.select(arrow_schema(NewsArticle).names).to_pylist():
            yield row, one == day


class _Shelf:
    """The articles of the window, to which those of a day are added."""

    def __init__(
        self, settings: Settings, day: date, stored: Iterable[tuple[dict[str, Any], bool]]
    ) -> None:
        self._settings, self._day = settings, day
        self._pages = Pages(settings)
        self._of_day: dict[str, dict[str, Any]] = {}
        self._by_url: dict[str, dict[str, Any]] = {}
        self._copies = Copies()
        for row, is_of_day in stored:
            self._put(row, is_of_day=is_of_day)

    def rows(self) -> list[dict[str, Any]]:
        """Those of the day, in a fixed order."""
        return sorted(self._of_day.values(), key=lambda row: (row["published_at"], row["url"]))

    def take(self, read: _Read) -> NewsReading:
        """Add what is absent; what became of each article of `read`."""
        counts = Counter(name for item in read.items for name in self._take(read, item))
        needs_pages = any(self._pages.is_allowed(item.link) for item in read.items)
        problem = read.told.problem or (self._pages.problem if needs_pages else None)
        return read.told.model_copy(update={**counts, "problem": problem})

    def _take(self, read: _Read, item: Item) -> Iterator[str]:
        if reason := self._out_of_time(read, item):
            yield reason
        elif known := self._by_url.get(item.url):
            yield "known"
            if self._is_updated(item, known):
                yield "updated"
        else:
            yield from self._take_new(read, item)

    def _is_updated(self, item: Item, known: dict[str, Any]) -> bool:
        """Of an article whose text is that of its page, the source's text says nothing."""
        has_page = self._pages.is_allowed(item.link)
        return item.title != known["title"] or (item.text != known["text"] and not has_page)

    def _take_new(self, read: _Read, item: Item) -> Iterator[str]:
        if self._pages.is_allowed(item.link) and (text := self._pages.text_of(item.link)):
            item = item.with_text(text)
            yield "pages"
        if copied := self._copies.find(item.title, item.text):
            yield "copies"
            if original := self._of_day.get(copied):
                original["outlets"].append(_outlet(read.source, item))
                self._by_url[item.url] = original
        else:
            yield "added"
            self._put(_row(read, item), is_of_day=True)

    def _out_of_time(self, read: _Read, item: Item) -> str | None:
        published = item.published_at or read.at
        if published > read.at + _CLOCKS_DIFFER:
            return "from_the_future"
        day = sync_day_of(published, self._settings.timezone)
        if read.source.is_file:
            return None if day == self._day else "of_another_day"
        oldest = self._day - timedelta(days=self._settings.news_window_days)
        return "too_old" if day < oldest else None

    def _put(self, row: dict[str, Any], *, is_of_day: bool) -> None:
        if is_of_day:
            self._of_day[row["article_id"]] = row
        for outlet in row["outlets"]:
            self._by_url[outlet["url"]] = row
        self._copies.add(row["article_id"], row["title"], row["text"])


def _row(read: _Read, item: Item) -> dict[str, Any]:
    return {
        "article_id": item.id,
        "url": item.url,
        "title": item.title,
        "text": item.text,
        "outlets": [_outlet(read.source, item)],
        "language": item.language,
        "published_at": item.published_at or read.at,
        "is_dated": item.published_at is not None,
        "received_at": read.at,
        "source": read.kind,
    }


def _outlet(source: Source, item: Item) -> dict[str, Any]:
    return {"name": item.outlet or source.name, "side": source.side, "url": item.url}
