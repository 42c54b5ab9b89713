"""A day of posts of any size, laid down as raw partitions: what the benchmarks of a day work on.

Texts are put together from pieces of the sandbox's sentences, so that hardly any two are alike;
identifiers are random, as they are on the network, where they are most of the bytes. Everything
is made in columns, and the same seed makes the same day.
"""

import random
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.contracts import (
    RawFeedPost,
    RawFirehosePost,
    RawModerationLabel,
    RawPostDeletion,
    Row,
    arrow_schema,
)
from bsky_assets.settings import MODERATION_SERVICE
from bsky_assets.storage.lake import Lake
from bsky_sandbox.writing import Writer

DAY = date(2026, 3, 8)
BATCH = 122_880
FEED_SHARE, DELETED_SHARE, LABELLED_SHARE = 0.005, 0.04, 0.01
ENGLISH = 0.2
LANGUAGES = ("en", "ja", "pt", "de", "es", "fr", "ko", "nl", "tr", "id", "pl", "ru", "th", "zh")
WEIGHTS = (0, 36, 16, 8, 8, 6, 5, 3, 3, 3, 2, 3, 3, 2)
NOISE = ("spam", "nsfw", "hate")
NOISE_SHARE = 0.03
PIECES = 20_000
"""Pieces of sentences in each language."""
UNSPACED = ("ja", "zh", "th")
_BASE32 = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", np.uint8)
_RELAY = "relay.benchmark"
_TAG, _LINK, _MENTION = (f"app.bsky.richtext.facet#{kind}" for kind in ("tag", "link", "mention"))


class Day:
    """The posts of a day, batch by batch, and what else arrived on it."""

    def __init__(self, posts: int, day: date = DAY, seed: int = 1) -> None:
        self.posts, self.day = posts, day
        self._rng = np.random.default_rng([seed, day.toordinal()])
        self._pieces, self._starts = _pieces(seed)
        self._began = datetime(day.year, day.month, day.day, 7, tzinfo=UTC)
        self._authors = self._ids("did:plc:", 24, max(posts // 4, 10))
        self._kept: list[pa.Table] = []

    def lay_down(self, lake: Lake) -> None:
        """Write the raw partitions of the day into `lake`."""
        schema = arrow_schema(RawFirehosePost)
        batches = pa.RecordBatchReader.from_batches(schema, self._firehose(schema))
        lake.write(RawFirehosePost, self.day, batches)
        seen = pa.concat_tables(self._kept).slice(0, max(int(self.posts * 0.1), 10))
        self._write(lake, RawFeedPost, self._feed(seen))
        self._write(lake, RawPostDeletion, self._deletions(seen))
        self._write(lake, RawModerationLabel, self._labels(seen))

    def _write(self, lake: Lake, row: type[Row], columns: dict[str, Any]) -> None:
        schema, count = arrow_schema(row), len(columns["uri"])
        arrays = [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.nulls(count, field.type)
            for field in schema
        ]
        lake.write(row, self.day, pa.Table.from_arrays(arrays, schema=schema))

    def _firehose(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for start in range(0, self.posts, BATCH):
            count = min(BATCH, self.posts - start)
            batch = self._batch(start, count, schema)
            chosen = pa.array(self._rng.random(count) < 0.1)
            self._kept.append(pa.Table.from_batches([batch]).filter(chosen))
            yield batch

    def _batch(self, start: int, count: int, schema: pa.Schema) -> pa.RecordBatch:
        numbers = np.arange(start, start + count)
        did = self._did(count)
        moments = self._moments(numbers)
        columns = {
            "uri": self._uris(did),
            "cid": self._ids("bafyrei", 52, count),
            "author": did,
            "record": self._records(count, moments),
            "metadata": _struct(
                schema.field("metadata").type,
                count,
                synctimestamp=pc.strftime(moments, "%Y-%m-%d-%H:%M:%S"),
                source_feed=_same("firehose", count),
            ),
            "relay": _same(_RELAY, count),
            "seq": pa.array(numbers * 5),
            "rev": self._ids("3l", 11, count),
            "commit_time": moments,
            "received_at": pc.add(moments, pa.scalar(timedelta(milliseconds=350))),
        }
        row = _struct(pa.struct(list(schema)), count, **columns)
        return pa.RecordBatch.from_struct_array(row).cast(schema)

    def _records(self, count: int, moments: pa.Array) -> pa.StructArray:
        kind = arrow_schema(RawFirehosePost).field("record").type
        languages = self._languages(count)
        text, facets = self._texts(languages, kind.field("facets").type)
        replies = self._rng.random(count) < 0.4
        parent, root = (self._some(self._uris(self._did(count)), replies) for _ in range(2))
        langs = pa.array(np.array([*LANGUAGES, *["en"] * len(NOISE)]))
        return _struct(
            kind,
            count,
            created_at=pc.strftime(moments, "%Y-%m-%dT%H:%M:%SZ"),
            text=text,
            embed=self._embeds(count, kind.field("embed").type),
            facets=facets,
            langs=_lists(langs.take(pa.array(languages)), self._rng.random(count) < 0.85),
            reply_parent=parent,
            reply_root=root,
            py_type=_same("app.bsky.feed.post", count),
        )

    def _languages(self, count: int) -> np.ndarray:
        others = (1 - ENGLISH - NOISE_SHARE) * np.array(WEIGHTS) / sum(WEIGHTS)
        others[0] = ENGLISH
        shares = [*others, *[NOISE_SHARE / len(NOISE)] * len(NOISE)]
        return self._rng.choice(len(shares), count, p=shares)

    def _texts(
        self, languages: np.ndarray, facet_type: pa.DataType
    ) -> tuple[pa.StringArray, pa.Array]:
        """Texts of a few pieces each, a quarter with a tag, link or mention and its facet."""
        rng, count = self._rng, len(languages)
        pieces = np.where(languages < len(LANGUAGES), rng.geometric(0.2, count).clip(1, 12), 1)
        owners = np.repeat(languages, pieces)
        first, last = self._starts[owners], self._starts[owners + 1]
        chosen = first + (rng.random(len(owners)) * (last - first)).astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(pieces)]).astype(np.int32)
        words = pa.ListArray.from_arrays(pa.array(offsets), self._pieces.take(pa.array(chosen)))
        spaced = ~np.isin(languages, [LANGUAGES.index(language) for language in UNSPACED])
        text = pc.if_else(pa.array(spaced), pc.binary_join(words, " "), pc.binary_join(words, ""))
        which = rng.choice(4, count, p=[0.75, 0.08, 0.12, 0.05])
        ids = self._ids("", 8, count)
        added = pc.choose(
            pa.array(which),
            "",
            pc.binary_join_element_wise(" #", ids, ""),
            pc.binary_join_element_wise(" https://", ids, ".example/story/", ids, ""),
            pc.binary_join_element_wise(" @", ids, ".bsky.social", ""),
        )
        values = pc.choose(
            pa.array(which),
            "",
            ids,
            pc.binary_join_element_wise("https://", ids, ".example/story/", ids, ""),
            self._ids("did:plc:", 24, count),
        )
        ends = pc.binary_length(text)
        facet = _struct(
            facet_type.value_type,
            count,
            byte_start=pc.add(ends, 1),
            byte_end=pc.add(ends, pc.binary_length(added)),
            kind=pc.choose(pa.array(which), "", _TAG, _LINK, _MENTION),
            value=values,
        )
        return pc.binary_join_element_wise(text, added, ""), _lists(facet, which > 0)

    def _embeds(self, count: int, kind: pa.StructType) -> pa.StructArray:
        """A third of the posts carry something: pictures, a link card or a quoted post."""
        which = self._rng.choice(4, count, p=[0.65, 0.18, 0.09, 0.08])
        titles = self._pieces.take(pa.array(self._rng.integers(0, PIECES, count)))
        ids = self._ids("", 10, count)
        link = pc.binary_join_element_wise("https://", ids, ".example/", titles, "")
        embed = _struct(
            kind,
            count,
            kind=pc.choose(
                pa.array(which),
                "",
                "app.bsky.embed.images",
                "app.bsky.embed.external",
                "app.bsky.embed.record",
            ),
            link_uri=self._some(link, which == 2),
            link_title=self._some(titles, which == 2),
            link_description=self._some(titles, which == 2),
            alt_texts=_lists(titles, which == 1),
            quoted_uri=self._some(self._uris(self._did(count)), which == 3),
            quoted_cid=self._some(self._ids("bafyrei", 52, count), which == 3),
        )
        return pc.if_else(pa.array(which > 0), embed, pa.nulls(count, kind))

    def _feed(self, seen: pa.Table) -> dict[str, Any]:
        """Posts that a feed showed: most came over the firehose too, some are in two feeds."""
        count = max(int(self.posts * FEED_SHARE), 5)
        posts = seen.slice(0, count).combine_chunks()
        count = len(posts)
        did = posts["author"].combine_chunks()
        uri = pc.if_else(
            pa.array(self._rng.random(count) < 0.8), posts["uri"].combine_chunks(), self._uris(did)
        )
        twice = np.concatenate([np.arange(count), np.flatnonzero(self._rng.random(count) < 0.1)])
        feeds = pa.array(["today"] * count + ["week"] * (len(twice) - count))
        moments = posts["received_at"].combine_chunks()
        schema = arrow_schema(RawFeedPost)
        columns = {
            "uri": uri,
            "cid": posts["cid"],
            "author": _struct(schema.field("author").type, count, did=did),
            "record": posts["record"],
            "indexed_at": moments,
            "received_at": moments,
            **{
                name: pa.array(self._rng.geometric(0.01, count))
                for name in ("like_count", "reply_count", "repost_count", "quote_count")
            },
            "post_labels": [[]] * count,
            "author_labels": [[]] * count,
            "position": np.arange(count),
        }
        plain = {
            name: pa.table({name: values})[name].combine_chunks().take(pa.array(twice))
            for name, values in columns.items()
        }
        plain["metadata"] = _struct(
            schema.field("metadata").type,
            len(twice),
            synctimestamp=pc.strftime(plain["received_at"], "%Y-%m-%d-%H:%M:%S"),
            source_feed=feeds,
            url=pc.binary_join_element_wise("https://bsky.app/profile/", plain["uri"], ""),
        )
        return plain

    def _deletions(self, seen: pa.Table) -> dict[str, Any]:
        """Posts deleted, half of them of this day, and a few accounts that are gone."""
        count = max(int(self.posts * DELETED_SHARE), 4)
        accounts = max(count // 50, 1)
        theirs = seen.slice(0, count // 2)
        did = pa.concat_arrays(
            [theirs["author"].combine_chunks(), self._did(count - len(theirs) + accounts)]
        )
        uri = pa.concat_arrays(
            [
                theirs["uri"].combine_chunks(),
                self._uris(did.slice(len(theirs), count - len(theirs))),
                pa.nulls(accounts, pa.string()),
            ]
        )
        total = count + accounts
        return {
            "kind": ["post"] * count + ["account"] * accounts,
            "uri": uri,
            "did": did,
            "status": ["deleted"] * count + ["takendown"] * accounts,
            "relay": [_RELAY] * total,
            "seq": np.arange(total) + self.posts * 5,
            "received_at": [self._began + timedelta(hours=20)] * total,
        }

    def _labels(self, seen: pa.Table) -> dict[str, Any]:
        """Labels on posts and, one in ten, on accounts."""
        posts = seen.slice(0, max(int(self.posts * LABELLED_SHARE), 2))
        count = len(posts)
        on_account = pa.array(self._rng.random(count) < 0.1)
        values = self._rng.choice(["porn", "sexual", "spam", "rude"], count)
        return {
            "src": [MODERATION_SERVICE] * count,
            "uri": pc.if_else(
                on_account, posts["author"].combine_chunks(), posts["uri"].combine_chunks()
            ),
            "val": values,
            "neg": self._rng.random(count) < 0.05,
            "cts": posts["received_at"].combine_chunks(),
            "origin": ["labeler.benchmark"] * count,
            "seq": np.arange(count),
            "received_at": posts["received_at"].combine_chunks(),
        }

    def _did(self, count: int) -> pa.StringArray:
        """Authors: a few post a lot, the most of them seldom."""
        ranks = self._rng.pareto(0.6, count) * 100
        often = np.minimum(ranks, len(self._authors) - 1).astype(np.int64)
        seldom = self._rng.integers(0, len(self._authors), count)
        return self._authors.take(pa.array(np.where(self._rng.random(count) < 0.2, often, seldom)))

    def _uris(self, did: pa.StringArray) -> pa.StringArray:
        keys = self._ids("3l", 11, len(did))
        return pc.binary_join_element_wise("at://", did, "/app.bsky.feed.post/", keys, "")

    def _ids(self, prefix: str, length: int, count: int) -> pa.StringArray:
        """`count` random identifiers of `length` letters after `prefix`."""
        letters = _BASE32[self._rng.integers(0, 32, (count, length), np.uint8)]
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * length).buffers()[1]
        ids = pa.StringArray.from_buffers(count, offsets, pa.py_buffer(letters))
        return pc.binary_join_element_wise(prefix, ids, "") if prefix else ids

    def _moments(self, numbers: np.ndarray) -> pa.Array:
        since = numbers * (86_000_000_000 // self.posts)
        began = np.datetime64(self._began.replace(tzinfo=None), "us")
        return pa.array(began + since.astype("timedelta64[us]")).cast(pa.timestamp("us", "UTC"))

    @staticmethod
    def _some(values: pa.Array, mask: np.ndarray) -> pa.Array:
        return pc.if_else(pa.array(mask), values, pa.scalar(None, values.type))


def _pieces(seed: int) -> tuple[pa.StringArray, np.ndarray]:
    """Pieces of sentences, language by language and then noise, and where each begins."""
    rng = random.Random(seed)
    writer = Writer(rng, 5)
    found: list[str] = []
    starts = [0]
    for language in LANGUAGES:
        while len(found) < starts[-1] + PIECES:
            found += _cut(rng, writer.person(language, reply=False).text, language)
        starts.append(len(found))
    for kind in NOISE:
        found += [
            (writer.nsfw("en") if kind == "nsfw" else getattr(writer, kind)()).text
            for _ in range(PIECES // 4)
        ]
        starts.append(len(found))
    return pa.array(found), np.array(starts)


def _cut(rng: random.Random, text: str, language: str) -> list[str]:
    if language in UNSPACED:
        return [text[start : start + 9] for start in range(0, len(text), 9)]
    words = text.split(" ")
    steps, pieces = iter(range(len(words))), []
    for start in steps:
        length = rng.randint(2, 5)
        pieces.append(" ".join(words[start : start + length]))
        for _ in range(length - 1):
            next(steps, None)
    return pieces


def _struct(kind: pa.StructType, count: int, /, **columns: pa.Array) -> pa.StructArray:
    """A struct, or a row, of `columns`; the fields that are not given are null."""
    arrays = [
        columns[field.name].cast(field.type)
        if field.name in columns
        else pa.nulls(count, field.type)
        for field in kind
    ]
    return pa.StructArray.from_arrays(arrays, fields=list(kind))


def _lists(values: pa.Array, mask: np.ndarray) -> pa.ListArray:
    """A list of one value where `mask` holds, null elsewhere."""
    offsets = np.concatenate([[0], np.cumsum(mask)]).astype(np.int32)
    return pa.ListArray.from_arrays(
        pa.array(offsets), values.filter(pa.array(mask)), mask=pa.array(~mask)
    )


def _same(value: str, count: int) -> pa.StringArray:
    return pa.repeat(pa.scalar(value), count)


def laid_down(root: Path, posts: int, days: int = 1) -> Lake:
    """The lake below `root` with `days` days of so many posts, made only if it is not there."""
    lake = Lake(root)
    for number in range(days):
        day = DAY + timedelta(days=number)
        if not lake.current(RawModerationLabel, day):
            Day(posts, day).lay_down(lake)
    return lake


if __name__ == "__main__":
    laid_down(Path(sys.argv[1]), int(sys.argv[2]), *map(int, sys.argv[3:]))
