"""A codebook as a component: a folder with `defs.yaml` and the file of the codebook."""

from functools import cache
from pathlib import Path
from typing import Annotated

from dagster import (
    Component,
    ComponentLoadContext,
    ComponentTree,
    Definitions,
    Model,
    Resolvable,
    Resolver,
    Scaffolder,
    ScaffoldRequest,
    scaffold_with,
)
from dagster.components.component_scaffolding import scaffold_component
from pydantic import BaseModel, Field

from bsky_assets.assets.codebook_labels import codebook_asset_alone, codebook_rows
from bsky_assets.contracts.codebook_template import new_codebook
from bsky_assets.contracts.codebooks import SUFFIX, Kind
from bsky_assets.orchestration.of_settings import of_settings
from bsky_assets.orchestration.partitions import from_first_day
from bsky_assets.settings import get_settings

PACKAGE = Path(__file__).parents[1]


class NewCodebook(BaseModel):
    """What `dg scaffold defs` is told of a codebook."""

    type: Kind = Field("boolean", description="What is answered.")


class CodebookScaffolder(Scaffolder[NewCodebook]):
    """Writes `defs.yaml` and, beside it, a codebook to be filled in."""

    @classmethod
    def get_scaffold_params(cls) -> type[NewCodebook]:
        """What may be said on the command line."""
        return NewCodebook

    def scaffold(self, request: ScaffoldRequest[NewCodebook]) -> None:
        """Write both; the codebook is called as the folder is."""
        name = request.target_path.name
        path = request.target_path / f"{name}{SUFFIX}"
        scaffold_component(request, {"file": path.name})
        path.write_text(new_codebook(name, request.params.type), "utf-8")


@scaffold_with(CodebookScaffolder)
class CodebookComponent(Component, Resolvable, Model):
    """A question to a language model about each post of a day: a codebook, and its asset.

    The asset reads and writes the data directory of the platform (BSKY_DATA_DIR). A codebook that
    cannot be used is left out and told in the log.
    """

    file: Annotated[
        Path,
        Resolver(
            lambda context, name: context.resolve_source_relative_path(name), model_field_type=str
        ),
        Field(description="The codebook, beside this file.", examples=["toxic.toml"]),
    ]

    def build_defs(self, context: ComponentLoadContext) -> Definitions:
        """The asset of the codebook."""
        settings = from_first_day(get_settings())
        rows = codebook_rows(settings, [self.file])
        own = [row for row in rows if row.codebook.name == self.file.stem]
        assets = (codebook_asset_alone(row, self.file, settings) for row in own)
        return Definitions(assets=[of_settings(asset, settings, rows) for asset in assets])


@cache
def scaffolded_codebooks() -> tuple[Path, ...]:
    """The codebooks that `dg scaffold defs` wrote into this checkout, whose assets are loaded with
    the platform's."""
    if not any((PACKAGE / "defs").rglob("defs.yaml")):
        return ()
    tree = ComponentTree.for_project(PACKAGE)
    return tuple(found.file for found in tree.get_all_components(CodebookComponent))
