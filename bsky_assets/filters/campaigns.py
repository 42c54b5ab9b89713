"""Campaigns: near-identical texts from many accounts within a day.

Each text is sketched by MinHash over the beginnings of its words: NumPy finds and hashes them,
and rensa sketches all texts at once. Texts that share a
band of the sketch are compared, and those alike enough make a campaign if enough accounts wrote
them. Source: A. Broder, On the resemblance and containment of documents, 1997.
"""

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rensa import RMinHash

from bsky_assets.filters.config import SpamConfig
from bsky_assets.filters.normalise import replaced
from bsky_assets.filters.spam import CAMPAIGN

PRIORITY = 3
_BATCH_ROWS = 32_768
_HASHES = 12
_BANDS = 4
_HEAD_BITS = 20
"""Of a key: what too few share the beginning of need not be sorted."""
_WINDOW = 8
"""Bytes from the beginning of a word that make a shingle."""

_MARKS = r"[@#0-9]|://|\s\s"
_LINKS_NAMES_NUMBERS = r"https?://\S+|[@#]\S+|[0-9]+|\s\s+"
_SEED = 20_260_308
_FACTORS = np.random.default_rng(_SEED).integers(1, 2**63, _HASHES, dtype=np.uint64) * 2 + 1
"""Odd numbers that make one key of several."""


@dataclass(frozen=True)
class _Sketched:
    """Texts long enough to compare, each by its row in the day."""

    rows: np.ndarray
    authors: np.ndarray
    hosts: np.ndarray
    """A number for the host that the post links to; 0 for none, and where it says no more than
    the title of what it links to, as posts made by a share button do."""
    sketches: np.ndarray


def add_facts(con: duckdb.DuckDBPyConnection, config: SpamConfig) -> None:
    """Add a fact for each post of `day_posts` that is part of a campaign.

    One that leads to the same host as the others is spam; of the rest the fact is evidence.
    Reads the view `day_posts`, fills the table `facts`.
    """
    texts = _sketch_day(con, config.campaign_characters)
    found = [_members(texts, band, config) for band in range(_BANDS)]
    for linked, name in ((True, "spam"), (False, CAMPAIGN)):
        members = np.unique(np.concatenate([one[linked] for one in found]))
        con.register("members", pa.table({"row": texts.rows[members]}))
        con.execute(
            f"INSERT INTO facts SELECT row, '{name}', 'rule:campaign', {PRIORITY} FROM members"
        )
        con.unregister("members")


def _sketch_day(con: duckdb.DuckDBPyConnection, characters: int) -> _Sketched:
    reader = con.sql(
        f"""
        SELECT row, author, text, CASE WHEN host = '' THEN 0 ELSE hash(host) END AS host
        FROM (
            SELECT row, hash(author.did) AS author, record.text AS text, CASE
                WHEN record.embed.link_title IS NOT NULL
                    AND contains(lower(record.text), lower(record.embed.link_title)) THEN ''
                WHEN record.embed.link_uri IS NOT NULL
                    THEN regexp_extract(record.embed.link_uri, '^https?://([^/?#]+)', 1)
                WHEN contains(record.text, '://')
                    THEN regexp_extract(record.text, 'https?://([^\\s/?#]+)', 1)
                ELSE ''
            END AS host
            FROM day_posts WHERE strlen(record.text) >= {characters}
                AND regexp_matches(record.text, '[A-Za-z]{{3}}')
        )
        """
    ).to_arrow_reader(_BATCH_ROWS)
    parts = [
        (
            np.empty(0, np.int64),
            np.empty(0, np.uint64),
            np.empty(0, np.uint64),
            np.empty((0, _HASHES), np.uint32),
        )
    ]
    for batch in reader:
        text = batch["text"]
        plain = replaced(
            text,
            pc.match_substring_regex(text, _MARKS),
            lambda chosen: pc.replace_substring_regex(chosen, _LINKS_NAMES_NUMBERS, " "),
        )
        long_enough = pc.greater_equal(pc.binary_length(plain), characters)
        rows, authors, hosts = (
            batch[name].filter(long_enough).to_numpy() for name in ("row", "author", "host")
        )
        parts.append((rows, authors, hosts, sketch(pc.utf8_lower(plain.filter(long_enough)))))
    return _Sketched(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def sketch(texts: pa.StringArray) -> np.ndarray:
    """The MinHash sketch of each text: 32-bit numbers, one row a text.

    Two sketches agree in about the share of places that the two texts share of all their
    shingles (Jaccard similarity). Texts must be longer than a shingle.
    """
    if len(texts) == 0:
        return np.empty((0, _HASHES), np.uint32)
    joined = pc.binary_join_element_wise(" ", texts, " " * _WINDOW, "").cast(pa.large_binary())
    content = np.frombuffer(joined.buffers()[2], np.uint8)
    ends = np.frombuffer(joined.buffers()[1], np.int64)[
        joined.offset : joined.offset + len(joined) + 1
    ]
    starts_word = np.flatnonzero((content[:-_WINDOW] == 32) & (content[1 : 1 - _WINDOW] != 32)) + 1
    shingles = np.lib.stride_tricks.sliding_window_view(content, _WINDOW)[starts_word]
    mixed = np.ascontiguousarray(shingles).view(np.uint64).ravel()
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    firsts = np.searchsorted(starts_word, ends).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(mixed, firsts, _HASHES, _SEED)
    return np.array(matrix.to_rows(), np.uint32)


def _members(texts: _Sketched, band: int, config: SpamConfig) -> dict[bool, np.ndarray]:
    """The texts (by position) that belong to a campaign as this band of the sketch sees it.

    Under true those of campaigns whose accounts lead to one host, under false the others.
    """
    width = _HASHES // _BANDS
    rows = np.ascontiguousarray(texts.sketches[:, band * width : (band + 1) * width])
    places, groups = _groups(rows.astype(np.uint64) @ _FACTORS[:width], config.campaign_accounts)
    firsts = np.searchsorted(groups, groups)
    alike = texts.sketches[places] == texts.sketches[places[firsts]]
    near = alike.mean(axis=1) >= config.campaign_similarity
    places, groups = places[near], groups[near]
    authors, hosts = texts.authors[places], texts.hosts[places]
    many = _distinct(groups, authors) >= config.campaign_accounts
    _, same_host = np.unique(groups.astype(np.uint64) * _FACTORS[0] ^ hosts, return_inverse=True)
    leading = (_distinct(same_host, authors) >= config.campaign_accounts) & (hosts != 0)
    return {True: places[many & leading], False: places[many & ~leading]}


def _groups(keys: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """The positions whose key at least so many share, by key, and a number for each one's key."""
    heads = (keys >> np.uint64(64 - _HEAD_BITS)).astype(np.int64)
    candidates = np.flatnonzero(np.bincount(heads, minlength=1)[heads] >= least)
    order = candidates[np.argsort(keys[candidates], kind="stable")]
    starts_group = np.ones(len(order), dtype=bool)
    starts_group[1:] = np.diff(keys[order]) != 0
    numbers = np.cumsum(starts_group) - 1
    large = np.bincount(numbers, minlength=1)[numbers] >= least
    return order[large], numbers[large]


def _distinct(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """For each place, how many different values its group has."""
    if len(groups) == 0:
        return np.zeros(0)
    order = np.lexsort((values, groups))
    changes = np.ones(len(order), dtype=bool)
    changes[1:] = (np.diff(groups[order]) != 0) | (np.diff(values[order]) != 0)
    counts: np.ndarray = np.bincount(groups[order], weights=changes)[groups]
    return counts
