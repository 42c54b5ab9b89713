"""What the launchpad of the UI begins with: the configuration of an asset, filled in with what is
in force, so that a person changes a number instead of looking one up.

What does not belong here: what the fields are, which the class of an asset's configuration says.
"""

from collections.abc import Mapping
from typing import Any

from dagster import AssetsDefinition, Config
from dagster._config.pythonic_config.config import infer_schema_from_config_class
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction
from pydantic import Field, create_model

from bsky_assets.settings import Settings


class OfSettings(Config):
    """A configuration whose fields are settings unless a run says otherwise."""

    @classmethod
    def defaults(cls, settings: Settings) -> Mapping[str, Any]:
        """The fields that are settings, with their values."""
        raise NotImplementedError


def filled_in(asset: AssetsDefinition, settings: Settings) -> AssetsDefinition:
    """The asset; its configuration, where that is of settings, has their values as defaults."""
    compute = asset.op.compute_fn
    if not isinstance(compute, DecoratedOpFunction) or not compute.has_config_arg():
        return asset
    config = compute.get_config_arg().annotation
    if not issubclass(config, OfSettings):
        return asset
    fields: dict[str, Any] = {
        name: (config.model_fields[name].annotation, Field(value, description=told))
        for name, value in config.defaults(settings).items()
        for told in [config.model_fields[name].description]
    }
    schema = infer_schema_from_config_class(
        create_model(config.__name__, __base__=config, __doc__=config.__doc__, **fields)
    )
    op = asset.op.with_replaced_properties(asset.op.name, config_schema=schema)  # type: ignore[arg-type]
    return AssetsDefinition.dagster_internal_init(**{**asset.get_attributes_dict(), "node_def": op})
