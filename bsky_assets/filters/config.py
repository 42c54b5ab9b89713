"""The filters' configuration: one versioned file, word lists beside it, and their version.

What belongs here: reading and validating them. What does not: what the values mean to a filter.
"""

import hashlib
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

if TYPE_CHECKING:
    from bsky_assets.settings import Settings

FOLDER = Path(__file__).parent
LEXICON = FOLDER / "judging"
BUILT_IN_LANGUAGE_MODEL = FOLDER / "models" / "lid.176.ftz"

FilterName = Literal["english", "bot", "nsfw", "spam", "hate_speech"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EnglishConfig(_Section):
    """How the language of a post is told."""

    sure: float = Field(gt=0.5, le=1)
    sure_not: float = Field(gt=0.5, le=1)
    sure_characters: int = Field(ge=1)
    unlikely: float = Field(ge=0, lt=0.5)
    words_if_unlikely: int = Field(ge=0)
    weight_model: float = Field(gt=0)
    weight_words: float = Field(gt=0)
    weight_shared: float = Field(ge=0)
    weight_langs: float = Field(ge=0)
    langs_characters: int = Field(ge=0)
    constant: float


class LabelsConfig(_Section):
    """The label values that stop a post, for each filter."""

    bot: tuple[str, ...] = Field(min_length=1)
    nsfw: tuple[str, ...] = Field(min_length=1)
    spam: tuple[str, ...] = Field(min_length=1)
    hate_speech: tuple[str, ...] = Field(min_length=1)


class ListedAccount(_Section):
    """An account, or a pattern of handles (with `*`), on the allow or deny list, and why."""

    handle: str | None = None
    did: str | None = None
    reason: str = Field(pattern=r"^\w+$")


class BotConfig(_Section):
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


class SpamConfig(_Section):
    """Where writing turns into spam."""

    hashtags: int = Field(ge=2)
    hashtags_alone: int = Field(ge=2)
    mentions: int = Field(ge=2)
    mentions_alone: int = Field(ge=2)
    scam_score: int = Field(ge=1)
    campaign_accounts: int = Field(ge=2)
    campaign_characters: int = Field(ge=16)
    campaign_characters_alone: int = Field(ge=16)
    campaign_similarity: float = Field(gt=0, lt=1)


class NsfwConfig(_Section):
    """How many signs stop a post: 2 for a term beyond doubt, 1 for others, 0.5 for weak ones."""

    score: float = Field(gt=1)
    score_in_context: float = Field(gt=1)


class ModelsConfig(_Section):
    """The probability from which a trained model stops a post."""

    spam: float = Field(gt=0.5, le=1)
    nsfw: float = Field(gt=0.5, le=1)
    hate_speech: float = Field(gt=0.5, le=1)


class FilterConfig(_Section):
    """The whole configuration file."""

    order: tuple[FilterName, ...]
    english: EnglishConfig
    labels: LabelsConfig
    bot: BotConfig
    spam: SpamConfig
    nsfw: NsfwConfig
    models: ModelsConfig

    @field_validator("order")
    @classmethod
    def _english_first(cls, order: tuple[FilterName, ...]) -> tuple[FilterName, ...]:
        if order[:1] != ("english",) or len(set(order)) != len(order):
            raise ValueError("english comes first, and each filter stands once")
        return order


@cache
def filter_config() -> FilterConfig:
    """The configuration in force.

    Raises:
        pydantic.ValidationError: the file has a value that cannot be used.
    """
    return FilterConfig.model_validate(tomllib.loads((FOLDER / "config.toml").read_text()))


def language_model_path(settings: "Settings") -> Path:
    """The language model in use."""
    return settings.language_model or BUILT_IN_LANGUAGE_MODEL


def trained_model_path(name: str, settings: "Settings") -> Path:
    """Where the model that a user trained for a filter is, if there is one."""
    return settings.data_dir / "models" / name / "model.bin"


def config_version(settings: "Settings | None" = None) -> str:
    """Twelve hex digits that change when anything a verdict depends on does.

    That is the configuration, the word lists, the filters' code, the language model, the models
    that the user trained and the labelers that are trusted.
    """
    # Worker processes import this module, and settings would double what that costs them.
    from bsky_assets.settings import get_settings

    settings = settings or get_settings()
    digest = hashlib.sha256()
    for path in _versioned(settings):
        digest.update(path.name.encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    digest.update(",".join(settings.trusted_labelers).encode())
    return digest.hexdigest()[:12]


def _versioned(settings: "Settings") -> Iterator[Path]:
    yield FOLDER / "config.toml"
    yield from sorted(LEXICON.glob("*.toml"))
    yield from sorted(FOLDER.rglob("*.py"))
    yield language_model_path(settings)
    for name in ("spam", "nsfw", "hate_speech"):
        if (path := trained_model_path(name, settings)).exists():
            yield path
