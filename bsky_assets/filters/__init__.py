"""The filters: which posts are English, and of these which are noise, and why."""

from bsky_assets.filters.config import config_version

__all__ = ["config_version"]
