"""Campaigns: near-identical texts from many accounts within a day.

Each text is sketched by MinHash over the beginnings of its words: NumPy finds and hashes them,
and rensa sketches all texts at once. Texts that share a band of the sketch are compared, and those
alike enough make a campaign if enough accounts wrote them.
Source: A. Broder, On the resemblance and containment of documents, 1997.
"""

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rensa import RMinHash

from bsky_assets.filters.config import CampaignsConfig
from bsky_assets.filters.posts import CAMPAIGN
from bsky_assets.filters.words.normalise import replaced
from bsky_assets.storage.sql import literal

PRIORITY = 3
_BATCH_ROWS = 32_768
_HASHES = 12
_BANDS = 4
_STORED = ("row", "post", "author", "host")
_WINDOW = 8
"""Bytes from the beginning of a word that make a shingle."""

_MARKS = r"[@#0-9]|://|\s\s"
_LINKS_NAMES_NUMBERS = r"https?://\S+|[@#]\S+|[0-9]+|\s\s+"
_SEED = 20_260_308
_FACTORS = (
    np.random.default_rng(_SEED).integers(1, 2**63, _HASHES // _BANDS, dtype=np.uint64) * 2 + 1
)
"""Odd numbers that make one key of several."""


def add_facts(con: duckdb.DuckDBPyConnection, config: CampaignsConfig) -> None:
    """Add a fact for each post of `day_posts` that is part of a campaign.

    One that leads to the same host as the others is spam; of the rest the fact is evidence.
    Reads the view `day_posts`, fills the table `facts`.
    """
    _sketch_day(con, config.characters)
    found = [_members(con, band, config) for band in range(_BANDS)]
    for linked, name in ((True, "spam"), (False, CAMPAIGN)):
        rows = np.unique(np.concatenate([one[linked] for one in found]))
        con.register("members", pa.table({"row": rows}))
        con.execute(
            "INSERT INTO facts "
            f"SELECT row, {literal(name)}, 'rule:campaign', {PRIORITY} FROM members"
        )
        con.unregister("members")
    con.execute("DROP TABLE sketches")


def _sketch_day(con: duckdb.DuckDBPyConnection, characters: int) -> None:
    """Fill the table `sketches` with the texts long enough to compare, each by its row in the day.

    DuckDB keeps it, since it grows with the day and may have to go to the disk. `host` is a number
    for the host that the post links to; 0 for none, and where it says no more than the title of
    what it links to, as posts made by a share button do.
    """
    reader = con.sql(
        f"""
        SELECT row, post, author, text, CASE WHEN host = '' THEN 0 ELSE hash(host) END AS host
        FROM (
            SELECT row, hash(uri) AS post, hash(author.did) AS author, record.text AS text, CASE
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
    with con.cursor() as sink:  # `con` is busy with the texts that are still to come
        bands = ", ".join(f"band_{band} UBIGINT" for band in range(_BANDS))
        sink.execute(
            "CREATE OR REPLACE TABLE sketches (row BIGINT, post UBIGINT, author UBIGINT, "
            f"host UBIGINT, sketch UINTEGER[{_HASHES}], {bands})"
        )
        for batch in reader:
            sink.register("sketched", _sketched(batch, characters))
            sink.execute("INSERT INTO sketches FROM sketched")
            sink.unregister("sketched")


def _sketched(batch: pa.RecordBatch, characters: int) -> pa.Table:
    """What is stored of the texts of a batch; `band_…` is one key of a band of the sketch."""
    text = batch["text"]
    plain = replaced(
        text,
        pc.match_substring_regex(text, _MARKS),
        lambda chosen: pc.replace_substring_regex(chosen, _LINKS_NAMES_NUMBERS, " "),
    )
    long_enough = pc.greater_equal(pc.binary_length(plain), characters)
    sketches = sketch(pc.utf8_lower(plain.filter(long_enough)))
    width = _HASHES // _BANDS
    bands = sketches.astype(np.uint64).reshape(-1, _BANDS, width) @ _FACTORS
    return pa.table(
        {
            **{name: batch[name].filter(long_enough) for name in _STORED},
            "sketch": pa.FixedSizeListArray.from_arrays(pa.array(sketches.ravel()), _HASHES),
            **{f"band_{band}": bands[:, band] for band in range(_BANDS)},
        }
    )


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


def _members(
    con: duckdb.DuckDBPyConnection, band: int, config: CampaignsConfig
) -> dict[bool, np.ndarray]:
    """The rows that belong to a campaign as this band of the sketch sees it.

    Texts are compared with one of their number, chosen by its URI: so the order of rows in the
    file, which is not always the same, changes nothing.
    Under true those of campaigns whose accounts lead to one host, under false the others.
    """
    texts = con.sql(
        f"""
        SELECT * FROM sketches SEMI JOIN (
            SELECT band_{band} FROM sketches
            GROUP BY ALL HAVING count(*) >= {config.accounts}
        ) USING (band_{band}) ORDER BY band_{band}, post
        """
    ).to_arrow_table()
    keys, rows, authors, hosts = (
        texts[name].to_numpy() for name in (f"band_{band}", "row", "author", "host")
    )
    sketches = texts["sketch"].combine_chunks().flatten().to_numpy().reshape(-1, _HASHES)
    firsts = np.searchsorted(keys, keys)
    near = (sketches == sketches[firsts]).mean(axis=1) >= config.similarity
    groups, rows, authors, hosts = firsts[near], rows[near], authors[near], hosts[near]
    many = _distinct(groups, authors) >= config.accounts
    _, same_host = np.unique(groups.astype(np.uint64) * _FACTORS[0] ^ hosts, return_inverse=True)
    leading = (_distinct(same_host, authors) >= config.accounts) & (hosts != 0)
    return {True: rows[many & leading], False: rows[many & ~leading]}


def _distinct(groups: np.ndarray, values: np.ndarray) -> np.ndarray:
    """For each place, how many different values its group has."""
    if len(groups) == 0:
        return np.zeros(0)
    order = np.lexsort((values, groups))
    changes = np.ones(len(order), dtype=bool)
    changes[1:] = (np.diff(groups[order]) != 0) | (np.diff(values[order]) != 0)
    counts: np.ndarray = np.bincount(groups[order], weights=changes)[groups]
    return counts
