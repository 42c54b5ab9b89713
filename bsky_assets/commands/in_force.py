"""The settings in force, read when a command is run: help needs none, nor what parses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bsky_assets.settings import Settings


def get_settings() -> Settings:
    """The settings of this process, as `bsky_assets.settings.get_settings` reads them."""
    from bsky_assets import settings

    return settings.get_settings()
