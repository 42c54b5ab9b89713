"""What the filters look at: the text inputs of posts as Arrow columns, one row a post.

A batch of consolidated posts is cut down to these columns before it goes to a worker. Together
with them travels what only the whole day could tell (`facts`): for each filter a reason to stop
the post, or null. What does not belong here: any judgement.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bsky_assets.filters.words.normalise import fold, replaced

_STRINGS = pa.list_(pa.field("element", pa.string()))
INPUTS = pa.schema(
    {
        "text": pa.string(),
        "langs": _STRINGS,
        "tags": _STRINGS,
        "links": _STRINGS,
        "link_title": pa.string(),
        "alt_texts": _STRINGS,
    }
)
"""The text inputs: facets' tags count as tags; links are those of facets and of the link card."""

CAMPAIGN = "campaign"
"""The fact that many accounts post about the same text."""

_TAG_FACET = "app.bsky.richtext.facet#tag"
_LINK_FACET = "app.bsky.richtext.facet#link"
_ADDRESSES = r"https?://[^\s\"”»]+|\S+@\S+\.[a-z]{2,}|(^|[^a-z0-9])@[^\s\"”»]+"
"""Links, mail addresses and names; a sign within a word is none, and they end where a quotation
does."""
_TEXT_LINK = r"(?i)https?://[^\s<>\"]+"


def fact_column(filter_name: str) -> str:
    """The column that carries a day's facts for one filter."""
    return f"fact_{filter_name}"


class Posts:
    """Posts in columns; what several filters derive from them is derived once."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        """Look at `batch`, which has the columns of `INPUTS` and one for each kind of fact."""
        self.batch = batch

    def __len__(self) -> int:
        return int(self.batch.num_rows)

    def where(self, mask: pa.BooleanArray) -> "Posts":
        """The posts for which `mask` is true, with what is already derived of them."""
        chosen = Posts(self.batch.filter(mask))
        for name in ("folded", "words", "surroundings", "links"):
            if name in self.__dict__:
                chosen.__dict__[name] = self.__dict__[name].filter(mask)
        return chosen

    def facts(self, filter_name: str) -> pa.StringArray:
        """What the day says of each post on behalf of a filter: a reason to stop it, or null."""
        index = self.batch.schema.get_field_index(fact_column(filter_name))
        return self.batch.column(index) if index >= 0 else pa.nulls(len(self), pa.string())

    @cached_property
    def text(self) -> pa.StringArray:
        return self.batch.column("text")

    @cached_property
    def folded(self) -> pa.StringArray:
        """The text as word rules read it: see `normalise.fold`."""
        return fold(self.text)

    @cached_property
    def words(self) -> pa.StringArray:
        """The folded text on one line, without addresses and names: what word rules look at.

        A blank line ends a sentence; a single line break is white space.
        """
        paragraphs = pc.replace_substring_regex(self.folded, r"\s*\n\s*\n\s*", ". ")
        one_line = pc.replace_substring_regex(paragraphs, r"[\n\r\t]+", " ")
        return replaced(
            one_line,
            pc.match_substring_regex(one_line, r"@|//"),
            lambda chosen: pc.replace_substring_regex(chosen, _ADDRESSES, r"\1 "),
        )

    @cached_property
    def surroundings(self) -> pa.StringArray:
        """Tags outside the text, title of the link card and alt texts, folded; often empty."""
        parts = [
            pc.fill_null(pc.binary_join(self.batch.column("tags"), " #"), ""),
            pc.fill_null(self.batch.column("link_title"), ""),
            pc.fill_null(pc.binary_join(self.batch.column("alt_texts"), "\n"), ""),
        ]
        joined = pc.binary_join_element_wise(*parts, "\n")
        return fold(pc.binary_join_element_wise("#", joined, ""))

    @cached_property
    def links(self) -> pa.StringArray:
        """Every address in the post, in lower case, each on a line of its own; often empty."""
        listed = pc.fill_null(pc.binary_join(self.batch.column("links"), "\n"), "")
        has_link = pc.match_substring_regex(self.text, _TEXT_LINK)
        written = pc.if_else(has_link, self.text, "")
        return pc.utf8_lower(pc.binary_join_element_wise(listed, written, "\n"))


def inputs(posts: pa.RecordBatch) -> pa.RecordBatch:
    """The text inputs of a batch of consolidated posts."""
    record = posts.column("record")
    field = {name: pc.struct_field(record, name) for name in ("text", "langs", "tags", "facets")}
    embed = pc.struct_field(record, "embed")
    card = pc.struct_field(embed, "link_uri")
    return pa.RecordBatch.from_arrays(
        [
            pc.fill_null(field["text"], ""),
            field["langs"].cast(_STRINGS),
            _concatenated(field["tags"], _facet_values(field["facets"], _TAG_FACET)),
            _concatenated(_facet_values(field["facets"], _LINK_FACET), _singletons(card)),
            pc.struct_field(embed, "link_title"),
            pc.struct_field(embed, "alt_texts").cast(_STRINGS),
        ],
        schema=INPUTS,
    )


def from_texts(texts: Sequence[str], langs: Sequence[Sequence[str] | None] | None = None) -> Posts:
    """Posts that are nothing but their text: for evaluation, training and canaries."""
    count = len(texts)
    empty = pa.nulls(count, _STRINGS)
    columns = [
        pa.array(texts, pa.string()),
        pa.array(langs, _STRINGS) if langs is not None else empty,
        empty,
        empty,
        pa.nulls(count, pa.string()),
        empty,
    ]
    return Posts(pa.RecordBatch.from_arrays(columns, schema=INPUTS))


def _facet_values(facets: pa.ListArray, kind: str) -> pa.ListArray:
    """The values of one kind of facet, a list for each post."""
    flat = facets.flatten()
    chosen = pc.fill_null(pc.equal(pc.struct_field(flat, "kind"), kind), False)
    owners = pc.list_parent_indices(facets).filter(chosen).to_numpy(zero_copy_only=False)
    return _grouped(owners, pc.struct_field(flat, "value").filter(chosen), len(facets))


def _singletons(values: pa.StringArray) -> pa.ListArray:
    present = pc.is_valid(values)
    owners = np.flatnonzero(present.to_numpy(zero_copy_only=False))
    return _grouped(owners, values.filter(present), len(values))


def _concatenated(first: pa.ListArray, second: pa.ListArray) -> pa.ListArray:
    """The two lists of each post as one."""
    owners = np.concatenate(
        [pc.list_parent_indices(part).to_numpy(zero_copy_only=False) for part in (first, second)]
    )
    values = pa.concat_arrays([part.flatten().cast(pa.string()) for part in (first, second)])
    order = np.argsort(owners, kind="stable")
    return _grouped(owners[order], values.take(pa.array(order)), len(first))


def _grouped(owners: np.ndarray, values: pa.Array, count: int) -> pa.ListArray:
    """Lists for `count` posts, given each value's post; `owners` is ascending."""
    offsets = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(np.bincount(owners, minlength=count), out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), values, type=_STRINGS)
