"""Codebooks as files of a data directory.

What does not belong here: what a codebook may say, which is in `contracts.codebooks`.
"""

import shutil
import tomllib
from contextlib import suppress
from pathlib import Path

from bsky_assets.contracts.codebooks import SUFFIX, CodebookLabel, UnusableCodebook
from bsky_assets.settings import Settings
from bsky_assets.storage.files import make_folder, staged
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition_sql import contract_in


def keep_codebook(settings: Settings, file: Path, row: type[CodebookLabel]) -> Path:
    """Put the codebook in `file`, whose table is `row`, into the data directory, with its texts.

    Raises:
        UnusableCodebook: answers of another type are stored under its name, or a text of its own is
            not beside it, or called as one of another codebook.
        UnusableDataDirectory: the data directory cannot be written to.
    """
    if any(contract_in(row, stored) is not row for stored in Lake.of(settings).partitions(row)):
        raise UnusableCodebook(
            f"{file.name}: answer.type: the answers that are stored are of another type; take "
            "another name"
        )
    names = _names(file)
    if apart := next((name for name in names if Path(name).name != name), None):
        raise UnusableCodebook(
            f"{file.name}: text: {apart!r:.50} is in another folder; put it beside the codebook"
        )
    _not_shared(settings.codebooks_dir, file, names)
    make_folder(settings.codebooks_dir)
    for path in (*(file.parent / name for name in names), file):
        with staged(settings.codebooks_dir / path.name) as fresh:
            shutil.copyfile(path, fresh)
    return settings.codebooks_dir / f"{row.codebook.name}{SUFFIX}"


def _not_shared(folder: Path, file: Path, names: list[str]) -> None:
    """Refuse a text that would take the place of another codebook's in `folder`."""
    for other in folder.glob(f"*{SUFFIX}"):
        if other.name != file.name and (shared := {*_names(other)} & {*names}):
            raise UnusableCodebook(
                f"{file.name}: text: {shared.pop()!r:.50} is a text of {other.name} too, and would "
                "take its place; rename the file"
            )


def _names(file: Path) -> list[str]:
    """The files beside a codebook that it names; none of one that does not parse."""
    with suppress(ValueError):
        told = tomllib.loads(file.read_text("utf-8")).get("text")
        return [str(name) for name in told] if isinstance(told, list) else []
    return []
