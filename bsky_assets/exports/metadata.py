"""An export described for other machines: Croissant for its tables, RO-Crate for its files.

Sources: http://mlcommons.org/croissant/1.0 and https://w3id.org/ro/crate/1.1.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import orjson
import pyarrow as pa

from bsky_assets.contracts import Row, columns
from bsky_assets.contracts.base import Column
from bsky_assets.exports.provenance import Export, ExportedFile

CROISSANT = "croissant.json"
CRATE = "ro-crate-metadata.json"
_FORMATS = {".parquet": "application/x-parquet", ".csv": "text/csv"}
_LICENSE = "https://rightsstatements.org/vocab/InC/1.0/"
"""In copyright: posts belong to their authors."""
_TYPES = {
    pa.string(): "sc:Text",
    pa.int64(): "sc:Integer",
    pa.float64(): "sc:Float",
    pa.bool_(): "sc:Boolean",
    pa.binary(): "sc:Text",
    pa.date32(): "sc:Date",
    pa.timestamp("us", tz="UTC"): "sc:DateTime",
}
_CROISSANT_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(export: Export) -> bytes:
    """The tables of an export with their columns, as Croissant.

    Of Parquet, columns that are structs stand as a whole; of CSV, each field stands by itself.
    """
    content = {
        "@context": _CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "name": f"bluesky-posts-{export.days[0]}-{export.days[-1]}-{export.level}",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        **_about(export),
        "citeAs": f"Bluesky posts, {export.span}. Made by bsky_assets {version('bsky_assets')} on "
        f"{export.made_at:%Y-%m-%d}.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": file.path.name,
                "name": file.path.name,
                "contentUrl": file.path.name,
                "contentSize": f"{file.bytes} B",
                "encodingFormat": _FORMATS[file.path.suffix],
                "sha256": file.sha256,
            }
            for file in export.files
        ],
        "recordSet": [_record_set(file) for file in export.files],
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _about(export: Export) -> dict[str, Any]:
    return {
        "description": f"Posts of Bluesky of the sync days {export.span}, level {export.level}. "
        "README.md says what is in it and what is missing.",
        "license": _LICENSE,
        "url": "https://bsky.app",
        "datePublished": export.made_at.date().isoformat(),
        "version": "1.0.0",
    }


def _record_set(file: ExportedFile) -> dict[str, Any]:
    described = (_field(file, *each) for each in _columns(file.row, file.path.suffix == ".csv"))
    day = ("sync_day", "sc:Date", "The day, in the sync timezone, on which it was received.")
    return {
        "@type": "cr:RecordSet",
        "@id": file.row.asset,
        "name": file.row.asset,
        "description": (file.row.__doc__ or "").strip().splitlines()[0],
        "field": [_field(file, *day), *described],
    }


def _columns(row: type[Row], is_flat: bool) -> Iterator[tuple[str, str, str]]:
    """Name, type and description of each column of a file; lists are JSON, and so are structs."""
    lists: list[str] = []
    for column in columns(row):
        if any(column.name.startswith(f"{name}.") for name in lists):
            continue
        if pa.types.is_list(column.type):
            lists.append(column.name)
        if _is_of(column, is_flat):
            yield column.name, _TYPES.get(column.type, "sc:Text"), column.description


def _is_of(column: Column, is_flat: bool) -> bool:
    """Whether a file has this column: structs are columns of Parquet, their fields of CSV."""
    return not pa.types.is_struct(column.type) if is_flat else "." not in column.name


def _field(file: ExportedFile, name: str, kind: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{file.row.asset}/{name}",
        "name": f"{file.row.asset}/{name}",
        "description": description,
        "dataType": kind,
        "source": {"fileObject": {"@id": file.path.name}, "extract": {"column": name}},
    }


_DESCRIBED = {
    "README.md": ("text/markdown", "What is in the export, and what is missing"),
    "DATA_DICTIONARY.md": ("text/markdown", "What each column is"),
    "provenance.json": ("application/json", "All that each partition says of itself"),
    "SHA256SUMS": ("text/plain", "Checksums of the files of rows"),
    CROISSANT: ("application/ld+json", "The tables and their columns, as Croissant"),
}


def crate(export: Export, prompts: Sequence[str]) -> bytes:
    """The files of an export as an RO-Crate; `prompts` are the names of those in `prompts/`."""
    files = [
        *(
            _file(file.path.name, _FORMATS[file.path.suffix], file.row.asset, file.bytes)
            for file in export.files
        ),
        *(_file(name, kind, what) for name, (kind, what) in _DESCRIBED.items()),
        *(_file(f"prompts/{name}", "text/plain", "A prompt") for name in prompts),
    ]
    graph = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "about": {"@id": "./"},
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"Bluesky posts, {export.span}",
            **_about(export),
            "datePublished": export.made_at.isoformat(timespec="seconds"),
            "license": {"@id": _LICENSE},
            "hasPart": [{"@id": file["@id"]} for file in files],
        },
        {"@id": _LICENSE, "@type": "CreativeWork", "name": "In copyright",
         "description": "Posts belong to their authors."},
        *files,
    ]  # fmt: skip
    content = {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2)


def _file(name: str, kind: str, what: str, size: int | None = None) -> dict[str, Any]:
    described = {"@id": name, "@type": "File", "name": what, "encodingFormat": kind}
    return described if size is None else {**described, "contentSize": str(size)}
