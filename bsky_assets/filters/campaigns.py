"""Campaigns: near-identical texts from many accounts within a day.

Each text is sketched by MinHash over the beginnings of its words, all texts at once in NumPy:
a library's sketch of one text at a time costs more than the whole chain may. Texts that share a
band of the sketch are compared, and those alike enough make a campaign if enough accounts wrote
them. Source: A. Broder, On the resemblance and containment of documents, 1997.
"""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.config import SpamConfig

PRIORITY = 3
_BATCH_ROWS = 65_536
_HASHES = 12
_BANDS = 4
_WINDOW = 8
"""Bytes from the beginning of a word that make a shingle."""

_LINKS_NAMES_NUMBERS = r"https?://\S+|[@#]\S+|[0-9\s]+"
_SEEDS = np.random.default_rng(20_260_308).integers(1, 2**63, _HASHES, dtype=np.uint64) * 2 + 1


def add_facts(con: duckdb.DuckDBPyConnection, config: SpamConfig) -> None:
    """Add a fact for each post of `day_posts` that is part of a campaign.

    Reads the view `day_posts`, fills the table `facts`.
    """
    rows, authors, sketches = _sketch_day(con, config.campaign_characters)
    members = np.unique(
        np.concatenate([_members(authors, sketches, band, config) for band in range(_BANDS)])
    )
    con.register("members", pa.table({"row": rows[members]}))
    con.execute(f"INSERT INTO facts SELECT row, 'spam', 'rule:campaign', {PRIORITY} FROM members")
    con.unregister("members")


def _sketch_day(
    con: duckdb.DuckDBPyConnection, characters: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows long enough to compare, a number for each one's author, and the sketches."""
    reader = con.sql(
        "SELECT row, hash(author.did) AS author, record.text AS text FROM day_posts "
        f"WHERE strlen(record.text) >= {characters}"
    ).to_arrow_reader(_BATCH_ROWS)
    rows, authors, sketches = [np.empty(0, np.int64)], [np.empty(0, np.uint64)], []
    sketches = [np.empty((0, _HASHES), np.uint32)]
    for batch in reader:
        plain = pc.replace_substring_regex(batch["text"], _LINKS_NAMES_NUMBERS, " ")
        long_enough = pc.greater_equal(pc.binary_length(plain), characters)
        rows.append(batch["row"].filter(long_enough).to_numpy())
        authors.append(batch["author"].filter(long_enough).to_numpy())
        sketches.append(sketch(pc.utf8_lower(plain.filter(long_enough))))
    return np.concatenate(rows), np.concatenate(authors), np.concatenate(sketches)


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
    firsts = np.searchsorted(starts_word, ends[:-1])
    result = np.empty((len(texts), _HASHES), np.uint32)
    for number, seed in enumerate(_SEEDS):
        hashed = ((mixed * seed) >> np.uint64(32)).astype(np.uint32)
        result[:, number] = np.minimum.reduceat(hashed, firsts)
    return result


def _members(
    authors: np.ndarray, sketches: np.ndarray, band: int, config: SpamConfig
) -> np.ndarray:
    """The texts (by position) that belong to a campaign as this band of the sketch sees it."""
    width = _HASHES // _BANDS
    rows = np.ascontiguousarray(sketches[:, band * width : (band + 1) * width])
    keys = rows.astype(np.uint64) @ _SEEDS[:width]
    order = np.argsort(keys, kind="stable")
    bounds = np.flatnonzero(np.diff(keys[order])) + 1
    edges = np.concatenate([[0], bounds, [len(order)]])
    members = [np.empty(0, np.int64)]
    for place in np.flatnonzero(np.diff(edges) >= config.campaign_accounts):
        group = order[edges[place] : edges[place + 1]]
        alike = (sketches[group] == sketches[group[0]]).mean(axis=1)
        chosen = group[alike >= config.campaign_similarity]
        if len(np.unique(authors[chosen])) >= config.campaign_accounts:
            members.append(chosen)
    return np.concatenate(members)
