"""Which settings go with a partition's work, as environment variables, and nothing else.

Engines differ in what they carry over by themselves: Slurm everything, Ray nothing. So what the
work needs is named here, and no engine decides it.
"""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import SecretStr

from bsky_assets.contracts import FilteredPost, LlmLabel
from bsky_assets.settings import LauncherName, Settings, variable_name

_COLLECTING = {
    "relay_url",
    "jetstream_url",
    "appview_url",
    "labeler_url",
    "feeds",
    "handle",
    "app_password",
}
_HERE_ONLY = {"live", "llm_gold", "spread_posts"}
_HERE_ONLY_PREFIXES = ("launcher", "slurm_", "ray_", "k8s_", "sync_max_")
_SPREADING: dict[LauncherName, tuple[str, ...]] = {
    "slurm": ("launcher", "spread_posts", "slurm_args", "slurm_export"),
    "ray": ("launcher", "spread_posts", "ray_options"),
}
"""What a job reads that starts tasks of the engine that runs it."""


def needed(asset: str, settings: Settings) -> list[str]:
    """The settings that making a partition of `asset` may read."""
    labelling = asset == LlmLabel.asset
    spread = asset == FilteredPost.asset and settings.spread_posts is not None
    return [
        name
        for name in Settings.model_fields
        if name not in _COLLECTING | _HERE_ONLY
        and not name.startswith(_HERE_ONLY_PREFIXES)
        and (labelling or not name.startswith("llm_"))
    ] + list(_SPREADING.get(settings.launcher, ()) if spread else ())


def variables(settings: Settings, asset: str) -> dict[str, str]:
    """What is not secret of them and not as it is by default, as environment variables."""
    return _as_variables(settings, asset, secret=False)


def secrets(settings: Settings, asset: str) -> dict[str, str]:
    """What is secret of them: never for a command line, a log or a job's description."""
    return _as_variables(settings, asset, secret=True)


def _as_variables(settings: Settings, asset: str, *, secret: bool) -> dict[str, str]:
    given: Mapping[str, Any] = {
        name: getattr(settings, name)
        for name in needed(asset, settings)
        if name in settings.model_fields_set or name == "data_dir"
    }
    return {
        variable_name(name): _text(name, value)
        for name, value in given.items()
        if value is not None and isinstance(value, SecretStr) is secret
    }


def _text(
    name: str, value: str | float | Path | SecretStr | tuple[str, ...] | dict[str, Any]
) -> str:
    """What `Settings` reads as `value`."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    if isinstance(value, tuple):
        return shlex.join(value) if name == "slurm_args" else ",".join(value)
    return str(value)
