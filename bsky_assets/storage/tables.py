"""Which tables a lake has besides those of every lake."""

from bsky_assets.contracts import Row
from bsky_assets.contracts.codebooks import load_codebooks, rows_of
from bsky_assets.contracts.news import NEWS, VIEWS
from bsky_assets.contracts.survival import SURVIVAL
from bsky_assets.settings import Settings


def rows_by_settings(settings: Settings) -> tuple[type[Row], ...]:
    """The contracts of the assets that are not in every lake: those of news and of an archive,
    where the settings name any, and those of codebooks."""
    news = (*NEWS, *(VIEWS if settings.news_views else ())) if settings.news_feeds else ()
    survival = SURVIVAL if settings.archive_url else ()
    return (*news, *survival, *rows_of(load_codebooks(settings.codebooks_dir)))
