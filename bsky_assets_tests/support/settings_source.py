"""Settings read sooner: they are made thousands of times, mostly of a variable or two.

Each time pydantic-settings works out anew what the variable of every field is called, and whether
one that is not set might be put together of others, for which a delimiter would have to be named.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from bsky_assets.settings import Settings


@contextmanager
def quick_settings() -> Iterator[None]:
    """Within, names of variables are kept, and those that are not set are not looked for."""
    assert Settings.model_config.get("env_nested_delimiter") is None
    extract, prepare = EnvSettingsSource._extract_field_info, EnvSettingsSource.prepare_field_value
    names: dict[str, list[tuple[str, str, bool]]] = {}

    def kept(
        self: EnvSettingsSource, field: FieldInfo, name: str, model_config: Any = None
    ) -> list[tuple[str, str, bool]]:
        if self.settings_cls is not Settings or model_config is not None:
            return extract(self, field, name, model_config)
        if name not in names:
            names[name] = extract(self, field, name)
        return names[name]

    def prepared(
        self: EnvSettingsSource, name: str, field: FieldInfo, value: Any, is_complex: bool
    ) -> Any:
        if value is None and self.settings_cls is Settings:
            return None
        return prepare(self, name, field, value, is_complex)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EnvSettingsSource, "_extract_field_info", kept)
        patch.setattr(EnvSettingsSource, "prepare_field_value", prepared)
        yield
