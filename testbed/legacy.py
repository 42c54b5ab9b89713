"""The author's old database, as tests and benchmarks make it anew."""

COLUMNS = (
    "uri",
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
    "cid",
    "author",
    "synctimestamp",
)
