"""How much of a post an export gives away: all, what tells of no person, or only its address.

What belongs here: how the tables of `contracts.published` are made from stored ones, and what of
the partitions' own words goes with them. A column that is not named here is not given away.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bsky_assets.contracts import FilteredPost, LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel
from bsky_assets.contracts.published import (
    VERDICTS,
    DehydratedPost,
    PublicLabel,
    PublicPost,
    labels_to_publish,
)
from bsky_assets.storage.sql import identifier, literal

Level = Literal["restricted", "public", "dehydrated"]

NAMED = "named_accounts"
"""A table of the connection with the `did` of accounts whose handles and names may be given."""
LABELS = "labels_to_give"
"""A view of the connection with the labels of the days."""


@dataclass(frozen=True)
class Form:
    """A table as a level gives it."""

    row: type[Row]
    of: type[Row]
    """The stored table that it has a row for each row of, or several."""
    columns: Mapping[str, str]
    """SQL of its columns, of the stored ones."""
    joined: str = ""
    order: str = "sync_day, post"
    """By pseudonyms, because the order in which posts came would tell them apart."""

    def select(self, rows: str) -> str:
        """SQL for its rows, days first, from SQL for those of the stored table."""
        made = {name: self.columns.get(name, name) for name in self.row.model_fields}
        columns = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in made.items())
        return (
            f"SELECT sync_day, {columns} FROM ({rows}) AS stored {self.joined} "
            f"ORDER BY {self.order}"
        )


def _author_of(uri: str) -> str:
    return f"pseudonym(nullif(split_part({uri}, '/', 3), ''))"


def _named(column: str) -> str:
    return f"CASE WHEN author.did IN (SELECT did FROM {NAMED}) THEN author.{column} END"


def _two_digits(count: str) -> str:
    places = f"1 - CAST(floor(log10({count})) AS INTEGER)"
    return f"CASE WHEN {count} < 100 THEN {count} ELSE CAST(round({count}, {places}) AS BIGINT) END"


_EMBED = r"^app\.bsky\.embed\.(images|video|gallery|external|record|recordWithMedia)$"
_LANGUAGE_TAG = "[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?"
_MENTION = "app.bsky.richtext.facet#mention"

_FORMS: Mapping[Level, Sequence[Form]] = {
    "restricted": (),
    "public": (
        Form(
            row=PublicPost,
            of=FilteredPost,
            columns={
                "post": "pseudonym(uri)",
                "author": "pseudonym(author.did)",
                "handle": _named("handle"),
                "display_name": _named("display_name"),
                "hour": "to_timestamp(floor(epoch(indexed_at) / 3600) * 3600)",
                "source_feeds": "metadata.source_feeds",
                "langs": "list_filter(coalesce(record.langs, []), "
                f"lambda tag: regexp_full_match(tag, {literal(_LANGUAGE_TAG)}))",
                "embed": "CASE WHEN record.embed.kind IS NOT NULL THEN coalesce(nullif("
                f"regexp_extract(record.embed.kind, {literal(_EMBED)}, 1), ''), "
                "'other') END",
                "reply_parent": "pseudonym(record.reply_parent)",
                "reply_parent_author": _author_of("record.reply_parent"),
                "reply_root": "pseudonym(record.reply_root)",
                "quoted": "pseudonym(record.embed.quoted_uri)",
                "quoted_author": _author_of("record.embed.quoted_uri"),
                "mentions": "list_transform(list_filter(coalesce(record.facets, []), "
                f"lambda facet: facet.kind = {literal(_MENTION)} AND facet.value IS NOT NULL), "
                "lambda facet: pseudonym(facet.value))",
                "likes": _two_digits("metrics.like_count"),
                "replies": _two_digits("metrics.reply_count"),
                "reposts": _two_digits("metrics.repost_count"),
                "quotes": _two_digits("metrics.quote_count"),
                **{name: name for name in VERDICTS},
            },
        ),
        Form(row=PublicLabel, of=LlmLabel, columns={"post": "pseudonym(uri)"}),
    ),
    "dehydrated": (
        Form(
            row=DehydratedPost,
            of=FilteredPost,
            columns={},
            joined=f"LEFT JOIN {LABELS} USING (sync_day, uri)",
            order="sync_day, uri, is_label_of_record DESC, model",
        ),
    ),
}
"""What each level gives; a restricted export gives stored tables as they are."""


def forms_of(level: Level, rows: Iterable[type[Row]]) -> Iterator[Form]:
    """What `level` gives where the tables `rows` are stored.

    Of codebooks those are given that are answered by one of their labels, not with a text.
    """
    yield from _FORMS[level]
    for row in rows:
        if not issubclass(row, CodebookLabel) or row.codebook.answer.type == "text":
            continue
        public, dehydrated = labels_to_publish(row)
        if level == "public":
            yield Form(row=public, of=row, columns={"post": "pseudonym(uri)"})
        else:
            yield Form(row=dehydrated, of=row, columns={}, order="sync_day, uri, model")


_TOLD = frozenset(
    (
        *("received_from", "received_to", "read_at", "ended", "host", "erased_at"),
        *("filter", "filter_version", "model", "model_digest", "parameters", "prompt"),
        *("prompt_version", "schema_version", "labelling_version", "consolidation_version"),
        *("merge_version", "reader_version", "reader_versions", "stratum", "student"),
    )
)
"""Of what a partition says of itself in words, what is ours or an endpoint's, not a person's."""
_PLAIN_KEY = re.compile(r"[a-z0-9_]{1,40}(:[a-z0-9_-]{1,40})?")
_FORBIDDEN = re.compile(r"did:|at://")


def without_people(details: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a partition says of itself in numbers, and in words of ours."""
    return _plain(dict(details)) or {}


def _plain(value: Any, key: str = "") -> Any:
    """Of `value`, which stands under `key`, what can tell of no person; None for nothing."""
    match value:
        case dict():
            kept = {name: _plain(one, name) for name, one in value.items()}
            told = {
                name: one
                for name, one in kept.items()
                if one is not None and _PLAIN_KEY.fullmatch(name)
            }
            return told or None
        case list():
            return [one for one in (_plain(one, key) for one in value) if one is not None] or None
        case str():
            return value if key in _TOLD and not _FORBIDDEN.search(value) else None
    return value
