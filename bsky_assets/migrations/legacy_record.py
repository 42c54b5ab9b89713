"""How the author's old tables wrote a post's record, as SQL that reads it.

Lists were joined to one string: with semicolons, in the oldest rows with commas. A facet was
`tag:`, `link:` or `mention:` and what it points to, without its place in the text. An embed was
a JSON object of flags and parts, where parts could be JSON in strings once more.
What does not belong here: which database the strings came from.
"""

from dataclasses import dataclass

from bsky_assets.bluesky.syntax import DID_PATTERN, RECORD_KEY_PATTERN
from bsky_assets.contracts.base import arrow_type
from bsky_assets.contracts.records import Media
from bsky_assets.storage.sql import literal
from bsky_assets.storage.upcasts import sql_type

COLUMNS = (
    "created_at",
    "text",
    "embed",
    "langs",
    "entities",
    "facets",
    "labels",
    "reply",
    "reply_parent",
    "reply_root",
    "tags",
    "py_type",
)
"""The columns, all strings, that `parsed` and `record` read."""

_MEDIA = sql_type(arrow_type(list[Media])[0])

POST_URI = rf"^at://{DID_PATTERN}/app\.bsky\.feed\.post/{RECORD_KEY_PATTERN}$"
_SYNCTIMESTAMP = r"^\d{4}-\d{2}-\d{2}-\d{2}:\d{2}:\d{2}$"
_UNIT = "chr(31)"
"""Stands between list items on their way; no old row has it."""

_EMBED_PARTS = """{
    "has_image": "BOOLEAN", "image_alt_text": "VARCHAR",
    "has_embedded_record": "BOOLEAN", "embedded_record": "JSON",
    "has_external": "BOOLEAN", "external": "JSON"
}"""


@dataclass(frozen=True)
class Fault:
    """A reason why a row cannot be read: an SQL condition, a short code and a sentence."""

    condition: str
    reason: str
    detail: str


FAULTS = (
    Fault("coalesce(created_at, '') = ''", "missing_field", "created_at is missing"),
    Fault(
        "coalesce(py_type, '') NOT IN ('', 'app.bsky.feed.post')",
        "wrong_type",
        "py_type is not app.bsky.feed.post",
    ),
    Fault(
        "has_embed AND (embed_json IS NULL OR json_type(embed_json) <> 'OBJECT')",
        "bad_embed",
        "embed is not a JSON object",
    ),
    Fault(
        "coalesce(parts.has_embedded_record, false) AND quoted ->> '$.uri' IS NULL",
        "bad_embed",
        "embed.embedded_record is not a JSON object with a uri",
    ),
    Fault(
        "coalesce(parts.has_external, false) AND card ->> '$.uri' IS NULL",
        "bad_embed",
        "embed.external is not a JSON object with a uri",
    ),
    Fault(
        "NOT list_bool_and(list_transform(facet_items, "
        "lambda item: regexp_matches(item, '^(tag|link|mention):')))",
        "bad_facets",
        "facets holds something that is not a tag, a link or a mention",
    ),
    Fault(
        r"""NOT regexp_full_match(langs, '[A-Za-z0-9_;,\[\]''" -]*')""",
        "bad_langs",
        "langs is not a list of languages",
    ),
)
"""What can be wrong with a record, for rows of `parsed`."""


def instant(column: str) -> str:
    """SQL for the instant of a synctimestamp, which was written in UTC; null where it is none."""
    return (
        f"CASE WHEN regexp_matches({column}, {literal(_SYNCTIMESTAMP)}) "
        f"THEN timezone('UTC', try_strptime({column}, '%Y-%m-%d-%H:%M:%S')) END"
    )


def first_fault(faults: tuple[Fault, ...]) -> str:
    """SQL for the first of `faults` that a row has, as a struct of reason and detail, or null."""
    cases = " ".join(
        f"WHEN {fault.condition} THEN {{'reason': '{fault.reason}', 'detail': '{fault.detail}'}}"
        for fault in faults
    )
    return f"CASE {cases} END"


def parsed(rows: str) -> str:
    """SQL for `rows` with what `record` and `FAULTS` need besides `COLUMNS`."""
    return f"""
        SELECT *, {_inner("parts.embedded_record")} AS quoted, {_inner("parts.external")} AS card
        FROM (
            SELECT *, json_transform(embed_json, {literal(_EMBED_PARTS)}) AS parts
            FROM (
                SELECT *,
                    coalesce(embed, '') NOT IN ('', 'null') AS has_embed,
                    CASE WHEN has_embed THEN try_cast(embed AS JSON) END AS embed_json,
                    CASE WHEN coalesce(facets, '') <> '' THEN string_split(
                        regexp_replace(trim(facets, ';'), '[;,]+(tag|link|mention):',
                            {_UNIT} || '\\1:', 'g'),
                        {_UNIT}
                    ) END AS facet_items
                FROM {rows}
            )
        )
    """


def record(not_known: str = "NULL") -> str:
    """SQL for the `PostRecord` of a row of `parsed` that has none of `FAULTS`.

    `not_known` is SQL for a JSON object of what has no column, or null.
    """
    return f"""{{
        'created_at': created_at,
        'text': coalesce(text, ''),
        'embed': {_embed()},
        'entities': list_transform({_split("entities")}, lambda item: {{
            'start': CAST(NULL AS BIGINT),
            'end': CAST(NULL AS BIGINT),
            'kind': CASE WHEN starts_with(item, 'did:') THEN 'mention' ELSE 'link' END,
            'value': item
        }}),
        'facets': list_transform(facet_items, lambda item: {{
            'byte_start': CAST(NULL AS BIGINT),
            'byte_end': CAST(NULL AS BIGINT),
            'kind': 'app.bsky.richtext.facet#' || split_part(item, ':', 1),
            'value': substr(item, strpos(item, ':') + 1)
        }}),
        'labels': {_split("labels")},
        'langs': CASE WHEN coalesce(langs, '') <> ''
            THEN regexp_extract_all(langs, '[A-Za-z0-9_-]+') END,
        'reply_parent': nullif(reply_parent, ''),
        'reply_root': nullif(reply_root, ''),
        'tags': {_split("tags")},
        'py_type': 'app.bsky.feed.post',
        'unknown_fields': {_unknown_fields(not_known)}
    }}"""


def _inner(part: str) -> str:
    """A part of an embed: an object, or one in a string."""
    return f"""CASE json_type({part})
        WHEN 'OBJECT' THEN {part}
        WHEN 'VARCHAR' THEN try_cast(json_extract_string({part}, '$') AS JSON)
    END"""


def _split(column: str) -> str:
    return f"""CASE WHEN coalesce({column}, '') <> '' THEN list_filter(
        list_transform(
            string_split({column}, CASE WHEN contains({column}, ';') THEN ';' ELSE ',' END),
            lambda item: trim(item)
        ),
        lambda item: item <> ''
    ) END"""


_KIND = """CASE
    WHEN parts.has_embedded_record AND (parts.has_image OR parts.has_external)
        THEN 'app.bsky.embed.recordWithMedia'
    WHEN parts.has_embedded_record THEN 'app.bsky.embed.record'
    WHEN parts.has_external THEN 'app.bsky.embed.external'
    WHEN parts.has_image THEN 'app.bsky.embed.images'
END"""


def _embed() -> str:
    return f"""CASE WHEN {_KIND} IS NOT NULL THEN {{
        'kind': {_KIND},
        'media_kind': CASE
            WHEN parts.has_image THEN 'app.bsky.embed.images'
            WHEN parts.has_external THEN 'app.bsky.embed.external'
        END,
        'media': CAST(NULL AS {_MEDIA}),
        'link_uri': card ->> '$.uri',
        'link_title': card ->> '$.title',
        'link_description': card ->> '$.description',
        'alt_texts': CASE
            WHEN NOT coalesce(parts.has_image, false) OR parts.image_alt_text IS NULL
                OR (parts.has_embedded_record AND parts.image_alt_text = '')
                THEN CAST([] AS VARCHAR[])
            ELSE string_split(parts.image_alt_text, ';')
        END,
        'quoted_uri': quoted ->> '$.uri',
        'quoted_cid': quoted ->> '$.cid'
    }} END"""


def _unknown_fields(not_known: str) -> str:
    parts = (
        f"CASE WHEN has_embed AND {_KIND} IS NULL THEN json_object('embed', embed_json) END",
        "CASE WHEN coalesce(reply, '') <> '' THEN json_object('reply', reply) END",
        f"CAST({not_known} AS JSON)",
    )
    # Not json_merge_patch, to which null is the wish to remove a member.
    members = ", ".join(
        f"trim(substr(CAST({part} AS VARCHAR), 2, length(CAST({part} AS VARCHAR)) - 2))"
        for part in parts
    )
    joined = f"array_to_string(list_filter([{members}], lambda part: part <> ''), ',')"
    return f"'{{' || nullif({joined}, '') || '}}'"
