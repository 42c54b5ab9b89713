"""The filters: which posts are English, and of these which are noise, and why.

What belongs here: asking filters in their order over a day (`chain`), and which there are
(`registry`); `judging`, `facts`, `words` and `measuring` are rooms of their own. What does not:
anything of Dagster. Consolidated posts and labels come in, posts with verdicts go out.
"""

from bsky_assets.filters.config import config_version

__all__ = ["config_version"]
