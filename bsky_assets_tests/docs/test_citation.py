"""How to cite the platform: a file that tools read, of the version that there is."""

from importlib.metadata import version

import yaml

from bsky_assets_tests.support.places import ROOT

REQUIRED = {"cff-version", "message", "title", "authors"}
"""Source: the schema of the Citation File Format, 1.2.0."""


def test_the_citation_is_whole_and_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert set(cited) >= REQUIRED
    assert cited["version"] == version("bsky_assets")
    assert cited["license"] == "MIT"
    assert all("name" in author for author in cited["authors"])
