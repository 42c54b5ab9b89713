"""`bsky-assets config`: the settings in force."""

from pydantic import SecretStr
from rich.table import Table

from bsky_assets.console import stdout
from bsky_assets.settings import Settings, get_settings, variable_name


def config() -> None:
    """Print every variable, what is in force and what it means; secrets are masked.

    Variables are read from the environment and from `.env` in this folder.

    \b
    Example:
      BSKY_SYNC_TIMEZONE=UTC bsky-assets config
    """
    settings = get_settings()
    table = Table("variable", "in force", "set", "meaning")
    for name, field in Settings.model_fields.items():
        given = "yes" if name in settings.model_fields_set else ""
        table.add_row(
            variable_name(name), _shown(getattr(settings, name)), given, field.description
        )
    if stdout.is_terminal:
        stdout.print(table)
        return
    for name in Settings.model_fields:
        stdout.print(
            f"{variable_name(name)}={_shown(getattr(settings, name))}", markup=False, soft_wrap=True
        )


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "**********"
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items())
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
