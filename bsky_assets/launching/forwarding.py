"""Which settings go with a partition's work, as environment variables, and nothing else.

Engines differ in what they carry over by themselves: Slurm everything, Ray nothing. So what the
work needs is named here, and no engine decides it.
"""

from typing import get_args

from bsky_assets.contracts import LlmLabel
from bsky_assets.settings import LauncherName, Settings, as_variable, is_secret, variable_name

_COLLECTING = {
    "relay_url",
    "jetstream_url",
    "archive_url",
    "archive_api_key",
    "archive_max_bytes",
    "plc_url",
    "heal",
    "appview_url",
    "labeler_url",
    "feeds",
    "handle",
    "app_password",
}
_HERE_ONLY = {"live", "llm_gold"}
_HERE_ONLY_PREFIXES = (
    *("launcher", "k8s_", "sync_max_"),
    *(f"{engine}_" for engine in get_args(LauncherName)),
)


def needed(asset: str) -> list[str]:
    """The settings that making a partition of `asset` may read."""
    labelling = asset == LlmLabel.asset
    return [
        name
        for name in Settings.model_fields
        if name not in _COLLECTING | _HERE_ONLY
        and not name.startswith(_HERE_ONLY_PREFIXES)
        and (labelling or not name.startswith("llm_"))
    ]


def variables(settings: Settings, asset: str) -> dict[str, str]:
    """What is not secret of them and not as it is by default, as environment variables."""
    return _as_variables(settings, asset, secret=False)


def secrets(settings: Settings, asset: str) -> dict[str, str]:
    """What is secret of them: never for a command line, a log or a job's description."""
    return _as_variables(settings, asset, secret=True)


def _as_variables(settings: Settings, asset: str, *, secret: bool) -> dict[str, str]:
    given = {
        name: value
        for name in needed(asset)
        if name in settings.model_fields_set or name == "data_dir"
        if (value := getattr(settings, name)) is not None
    }
    return {
        variable_name(name): as_variable(name, value)
        for name, value in given.items()
        if is_secret(value) is secret
    }
