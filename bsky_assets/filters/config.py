"""What the facts of a day are, where models lie, and the version of all that decides a verdict.

What belongs here: values that no single filter owns, and versions. What does not: what a filter
declares (`registry`).
"""

import hashlib
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from bsky_assets.filters.registry import Section, declared

if TYPE_CHECKING:
    from bsky_assets.settings import Settings

FOLDER = Path(__file__).parent
BUILT_IN_LANGUAGE_MODEL = FOLDER / "models" / "lid.176.ftz"


class ListedAccount(Section):
    """An account, or a pattern of handles (with `*`), on the allow or deny list, and why."""

    handle: str | None = None
    did: str | None = None
    reason: str = Field(pattern=r"^\w+$")


class BotConfig(Section):
    """What no person does."""

    posts_an_hour: int = Field(ge=2)
    posts_a_day: int = Field(ge=2)
    repeated_posts: int = Field(ge=2)
    repeated_share: float = Field(gt=0, le=1)
    link_feed_posts: int = Field(ge=2)
    link_feed_share: float = Field(gt=0, le=1)
    clock_posts: int = Field(ge=3)
    clock_variation: float = Field(gt=0)
    deny: tuple[ListedAccount, ...] = ()
    allow: tuple[ListedAccount, ...] = ()


class CampaignsConfig(Section):
    """What near-identical texts of many accounts are."""

    accounts: int = Field(ge=2)
    characters: int = Field(ge=16)
    similarity: float = Field(gt=0, lt=1)


class FactsConfig(Section):
    """The whole configuration file."""

    bot: BotConfig
    campaigns: CampaignsConfig


@cache
def facts_config() -> FactsConfig:
    """The configuration in force.

    Raises:
        pydantic.ValidationError: the file has a value that cannot be used.
    """
    return FactsConfig.model_validate(tomllib.loads((FOLDER / "config.toml").read_text()))


def language_model_path(settings: "Settings") -> Path:
    """The language model in use."""
    return settings.language_model or BUILT_IN_LANGUAGE_MODEL


def trained_model_path(name: str, settings: "Settings") -> Path:
    """Where the model that a user trained for a filter is, if there is one."""
    return settings.data_dir / "models" / name / "model.bin"


def config_version(settings: "Settings | None" = None) -> str:
    """Twelve hex digits that change when anything a verdict depends on does.

    That is the configuration, the word lists, the filters' code, which of two labels is later and
    which days are looked back to, the language model, the models that the user trained, the
    labelers that are trusted and the languages that all filters judge. What only measures is not
    among it.
    """
    # Worker processes import this module, and settings would double what that costs them.
    from bsky_assets import sync_day
    from bsky_assets.contracts.versions import source_version
    from bsky_assets.settings import get_settings
    from bsky_assets.storage import chronology

    settings = settings or get_settings()
    elsewhere = [Path(chronology.__file__), Path(sync_day.__file__)]
    version = source_version([*_versioned(settings), *elsewhere])
    trusted = ",".join(settings.trusted_labelers)
    others = "".join(f" {code}" for code in sorted(settings.other_languages))
    return hashlib.sha256(f"{version} {trusted}{others}".encode()).hexdigest()[:12]


def _versioned(settings: "Settings") -> Iterator[Path]:
    yield FOLDER / "config.toml"
    yield from sorted((*FOLDER.glob("judging/*.toml"), *FOLDER.glob("models/*.tsv")))
    yield from sorted(path for path in FOLDER.rglob("*.py") if path.parent.name != "measuring")
    yield language_model_path(settings)
    for one in declared():
        if (path := trained_model_path(one.name, settings)).exists():
            yield path
