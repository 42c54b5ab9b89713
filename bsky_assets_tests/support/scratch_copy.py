"""A copy of the package that a test may change, with commands of its own."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import bsky_assets
from bsky_assets_tests.support.sandbox_day import plain_environment

PACKAGE = Path(bsky_assets.__file__).parent
TOUCHED = (
    "raw_firehose_posts",
    "raw_feed_posts",
    "consolidated_posts",
    "filtered_posts",
    "student_scores",
    "llm_labels",
    "label_shares",
    "model_agreement",
    "filter_audit",
    "daily_report",
)
"""The assets that read the record of a post, in the order of the lineage."""


@dataclass(frozen=True)
class Scratch:
    """The folder in which the copy is, beside the configuration of Dagster."""

    folder: Path

    def replace(self, file: str, old: str, new: str) -> None:
        """Change a file of the package where it says `old`, which must be there."""
        path = self.folder / PACKAGE.name / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """One in which Python finds the copy first."""
        return plain_environment() | variables | {"PYTHONPATH": str(self.folder)}

    def python(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run Python on the copy; whoever asks looks at its exit status."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment(variables),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def command(self, *arguments: str, **variables: str) -> str:
        """What a command of the copy prints; it must succeed."""
        done = self.python("-m", PACKAGE.name, *arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout


def scratch_copy(folder: Path) -> Scratch:
    """Copy the package as it is now into `folder`."""
    # With what is compiled, which holds for a file as long as its time of writing is the same.
    half_written = shutil.ignore_patterns("*.pyc.*")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=half_written)
    for name in ("workspace.yaml", "dagster.yaml"):
        shutil.copyfile(PACKAGE.parent / name, folder / name)
    return Scratch(folder)
