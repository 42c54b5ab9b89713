"""What `dg` scaffolds: components, by which a Dagster project has of the platform what it names.

What belongs here: the way from a YAML file to an asset. What does not: the asset; see `assets`.
A file of a checkout comes in, definitions go out.
"""

from bsky_assets.components.codebook import CodebookComponent, scaffolded_codebooks

__all__ = ["CodebookComponent", "scaffolded_codebooks"]
