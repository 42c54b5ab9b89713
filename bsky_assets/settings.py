"""Every environment variable of the platform, in one typed place.

What belongs here: names, defaults, parsing and validation. What does not: anything that
acts on a setting. A variable of the environment wins over the same line in `.env`.
"""

import base64
import os
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import orjson
from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bsky_assets.errors import UserError

PREFIX = "BSKY_"
_CATCH_UP_FEED = "at://did:plc:tenurhgjptubkk5zf5qhi3og/app.bsky.feed.generator/catch-up"
ENGLISH = "en"
MODERATION_SERVICE = "did:plc:ar7c4by46qjdydhdevvrndac"
"""Bluesky's own labeler."""


class InvalidSettings(UserError):
    """A variable is unknown or cannot be used; the message names it and says what fits."""


def host_of(url: str) -> str:
    """Host and port of `url`: how whatever is shown or stored names where it came from.

    Never the URL itself, which may hold a user name and a password.
    """
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def without_credentials(url: str) -> tuple[str, dict[str, str]]:
    """The URL, and the header that says what a user name and password in it said."""
    parts = urlsplit(url)
    given, separator, host = parts.netloc.rpartition("@")
    if not separator:
        return url, {}
    encoded = base64.b64encode(unquote(given).encode()).decode()
    return parts._replace(netloc=host).geturl(), {"Authorization": f"Basic {encoded}"}


def has_credentials(value: object) -> bool:
    """Whether `value` is a URL with a user name or password in it."""
    return isinstance(value, str) and "://" in value and "@" in urlsplit(value).netloc


def _url(*schemes: str) -> AfterValidator:
    def check(url: str) -> str:
        try:
            parts = urlsplit(url)
            is_url = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
        except ValueError:  # its words would repeat what may be a password
            is_url = False
        if not is_url:
            raise ValueError(f"expected a URL beginning with {':// or '.join(schemes)}://")
        return url.rstrip("/")

    return AfterValidator(check)


@dataclass(frozen=True)
class _Written:
    """How the values of a type of setting are written into a variable, if not by `str`."""

    by: Callable[[Any], str]


def _parts(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _arguments(value: Any) -> Any:
    return shlex.split(value) if isinstance(value, str) else value


def _json_object(value: Any) -> Any:
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError as error:
        raise ValueError(f"expected an object in JSON: {error}") from None


def _lake_url(value: str) -> str:
    if "://" not in value:
        return str(Path(value).expanduser().absolute())
    parts = urlsplit(value)
    if parts.scheme != "s3" or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("expected s3://bucket/prefix, or a folder")
    if "@" in parts.netloc or ":" in parts.netloc:
        raise ValueError(
            "expected s3://bucket/prefix and nothing more; keys are read from AWS_ACCESS_KEY_ID "
            "and AWS_SECRET_ACCESS_KEY, and a host from BSKY_LAKE_ENDPOINT_URL"
        )
    return value.rstrip("/")


def _no_credentials(url: str) -> str:
    if has_credentials(url):
        raise ValueError(
            "expected no user in it: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY say who"
        )
    return url


LakeUrl = Annotated[str, AfterValidator(_lake_url)]
WebSocketUrl = Annotated[str, _url("ws", "wss")]
HttpUrl = Annotated[str, _url("http", "https")]
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parts), _Written(",".join)]
Arguments = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_arguments), _Written(shlex.join)]
JsonObject = Annotated[
    dict[str, Any],
    NoDecode,
    BeforeValidator(_json_object),
    _Written(lambda value: orjson.dumps(value).decode()),
]
Addresses = Annotated[
    dict[str, str],
    NoDecode,
    _Written(lambda value: ",".join(f"{name}={address}" for name, address in value.items())),
]
"""By name; the text is `name=address,…`."""
SIDES = ("left", "right", "moderate")
"""What BSKY_NEWS_FEEDS may say of an outlet."""
_LAUNCHABLE = ("consolidated_posts", "filtered_posts", "llm_labels")
"""Assets whose partitions can be made as a job of a cluster."""
LauncherName = Literal["local", "slurm", "ray", "kubernetes"]


class Settings(BaseSettings):
    """What is in force, from the environment and `.env`; read it through `get_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True
    )

    data_dir: Path = Field(
        Path("data/live"), description="Lake, segments, catalogue and Dagster's own storage."
    )
    lake_url: LakeUrl | None = Field(
        None,
        description="Where partitions are: s3://bucket/prefix, or a shared folder; default: the "
        "folder lake of the data directory.",
    )
    lake_endpoint_url: Annotated[HttpUrl, AfterValidator(_no_credentials)] | None = Field(
        None, description="Who serves s3://, e.g. http://127.0.0.1:9000; default: Amazon."
    )
    relay_url: WebSocketUrl = Field(
        "wss://bsky.network", description="Host of com.atproto.sync.subscribeRepos."
    )
    jetstream_url: WebSocketUrl | None = Field(
        None, description="Set: read the firehose from this Jetstream instead of the relay."
    )
    archive_url: HttpUrl | None = Field(
        None, description="A Jetstream v2 archive, to make past days from and to heal gaps."
    )
    archive_api_key: SecretStr | None = Field(None, description="Key of that archive.")
    archive_max_bytes: int = Field(
        10 * 2**30,
        ge=1,
        description="Bytes of an archive and of repositories that one command may fetch.",
    )
    plc_url: HttpUrl = Field(
        "https://plc.directory",
        description="Directory of accounts, which says where an account's repository is.",
    )
    heal: bool = Field(
        False, description="Whether a sensor heals what days lack, by itself, once they are over."
    )
    appview_url: HttpUrl = Field(
        "https://public.api.bsky.app", description="Host of app.bsky.feed.getFeed."
    )
    labeler_url: HttpUrl = Field(
        "https://mod.bsky.app", description="Host of subscribeLabels and queryLabels."
    )
    feeds: Addresses = Field(
        {"today": _CATCH_UP_FEED},
        validate_default=True,
        description="Feeds to read, as comma-separated name=at-uri.",
    )
    handle: str | None = Field(None, description="Account of the session for feeds that need one.")
    app_password: SecretStr | None = Field(None, description="App password of that account.")
    sync_timezone: str = Field(
        "America/Chicago", description="Timezone of sync days and schedules."
    )
    first_day: date | None = Field(
        None,
        description="First day that the Dagster UI shows, as YYYY-MM-DD; default: the first that "
        "is stored.",
    )
    sync_max_posts: int = Field(150_000, ge=1, description="Posts after which a sync stops.")
    sync_max_events: int = Field(750_000, ge=1, description="Events after which a sync stops.")
    sync_max_seconds: float = Field(14_400, gt=0, description="Seconds after which a sync stops.")
    language_model: Path | None = Field(
        None, description="A fastText language model, e.g. lid.176.bin; default: the built-in one."
    )
    languages: CommaSeparated = Field(
        (ENGLISH,),
        description="Comma-separated codes such as en,es: whose posts all filters judge, so that "
        "codebooks can ask about those that none but the filter english stopped.",
    )
    trusted_labelers: CommaSeparated = Field(
        (MODERATION_SERVICE,),
        description="Comma-separated DIDs of the labelers whose labels stop posts.",
    )
    llm_base_url: HttpUrl = Field(
        "http://localhost:11434/v1", description="OpenAI-compatible endpoint."
    )
    llm_api_key: SecretStr = Field(SecretStr("not-needed"), description="Key of that endpoint.")
    llm_models: CommaSeparated = Field(
        ("llama3.1:8b",),
        description="Comma-separated; the first is the label of record, others are compared.",
    )
    llm_concurrency: int = Field(
        16, ge=1, description="Ceiling of requests in flight; adapts below it."
    )
    llm_batch_size: int = Field(10, ge=1, le=50, description="Posts a request.")
    llm_codebooks_a_request: int = Field(
        1, ge=1, le=7, description="Codebooks asked about in one request, where posts are the same."
    )
    llm_sample: float | None = Field(
        None,
        gt=0,
        description="Posts a day that the model of record labels, drawn at random: a number, or a "
        "share like 0.05; default: all.",
    )
    llm_sample_size: int | None = Field(
        None, ge=1, description="Posts a day for each model after the first; default: all."
    )
    llm_company_sample: int = Field(
        20,
        ge=0,
        description="Posts a day that are asked about alone too, to see what company changes.",
    )
    audit_sample: int = Field(
        50, ge=0, description="Posts a day, of those that each filter stopped, the model judges."
    )
    audit_shift: float = Field(
        0.01,
        gt=0,
        lt=1,
        description="A filter that moves a share of the day by more than this is warned of.",
    )
    llm_prompt: Path | None = Field(
        None, description="A folder with a prompt of your own; default: the built-in one."
    )
    llm_reason: bool = Field(
        False, description="Whether the model is asked for the reason of each label, too."
    )
    overruling_codebook: str | None = Field(
        None,
        description="A codebook with [stopped]; posts of which it says no are labelled, too.",
    )
    llm_gold: Path | None = Field(
        None, description="Labels by people, as CSV, that the model of record is checked against."
    )
    llm_prompt_token_price: float | None = Field(
        None, ge=0, description="Price of a million prompt tokens, to report what a day costs."
    )
    llm_completion_token_price: float | None = Field(
        None, ge=0, description="Price of a million completion tokens, likewise."
    )
    news_feeds: Addresses = Field(
        {},
        description="News for context, as comma-separated name=url or name=file; name:side=… says "
        "which side an outlet is on: left, right or moderate.",
    )
    news_pages: CommaSeparated = Field(
        (),
        description="Hosts, comma-separated, whose terms allow that the pages of their articles "
        "are read for the text; robots.txt is obeyed, too.",
    )
    news_context: Literal["off", "proven", "on"] = Field(
        "off",
        description="Whether llm_labels asks about posts with the news that they are about; "
        "proven: if context_effect shows that it helps.",
    )
    news_views: bool = Field(
        False,
        description="Whether the model of record first sums up what each side says of a topic, and "
        "posts are asked about with that in the place of the article.",
    )
    news_context_sample: int = Field(
        50, ge=1, description="Posts a day that context_effect asks about without news and with it."
    )
    news_window_days: int = Field(
        14, ge=1, le=60, description="Days before a post in which an article may have appeared."
    )
    news_articles: int = Field(1, ge=1, le=5, description="Articles that a post is asked with.")
    news_characters: int = Field(
        300, ge=50, le=2000, description="Characters of each of these that are sent."
    )
    embeddings_base_url: HttpUrl | None = Field(
        None,
        description="OpenAI-compatible endpoint for vectors of texts; default: the package of the "
        "extra `embeddings`.",
    )
    embeddings_api_key: SecretStr = Field(
        SecretStr("not-needed"), description="Key of that endpoint."
    )
    embeddings_model: str | None = Field(
        None,
        min_length=1,
        validate_default=True,
        description="The endpoint's model for them, e.g. all-minilm.",
    )
    reports_url: HttpUrl | None = Field(
        None,
        description="Where the folder of reports is served, so that the UI can lead to them; "
        "`bsky-assets run` serves it itself.",
    )
    export_follower_floor: int | None = Field(
        None,
        ge=1,
        description="Followers from which on a public export names an account; default: it names "
        "none.",
    )

    sandbox: bool = Field(
        False, description="Whether the hosts are those of the sandbox, which sets it itself."
    )
    live: bool = Field(
        False, description="Whether schedule and sensors run by default; `make live` sets it."
    )
    follow_minutes: int = Field(
        60,
        ge=1,
        description="Least minutes between two runs that follow what lands for the present day; "
        "a day that is over is followed at once.",
    )
    keep_runs_days: int = Field(
        30, ge=1, description="Days after which the logs of Dagster's finished runs are removed."
    )
    memory_limit: str = Field(
        "4GB",
        pattern=r"^\d+(\.\d+)?\s*(MB|GB|MiB|GiB)$",
        description="Memory for all days that are worked on at a time; beyond it, they spill.",
    )
    threads: int | None = Field(
        None, ge=1, description="Cores for all these days together; default: all of the machine."
    )
    concurrent_days: int = Field(
        2, ge=1, description="Sync days worked on at a time, if there is memory for so many."
    )

    launcher: LauncherName = Field(
        "local", description="Where a partition is made: in the run, or as a job of a cluster."
    )
    launcher_assets: CommaSeparated = Field(
        _LAUNCHABLE[:2],
        description="Comma-separated assets that the launcher takes; llm_labels can be added.",
    )
    launcher_python: str | None = Field(
        None, description="Python of the cluster's nodes; default: the path of the one here."
    )
    slurm_args: Arguments = Field(
        (), description="Options of srun, e.g. --partition=short --cpus-per-task=4 --mem=8G."
    )
    slurm_export: CommaSeparated = Field(
        (), description="Comma-separated names of further variables that go with a Slurm job."
    )
    ray_options: JsonObject = Field(
        {"entrypoint_num_cpus": 1},
        description="JSON: options of a Ray job, e.g. entrypoint_num_cpus, runtime_env.",
    )
    k8s_pod: Path | None = Field(
        None, description="A manifest of the pod, as YAML, that makes a partition on Kubernetes."
    )

    @field_validator("llm_models")
    @classmethod
    def _at_least_one(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("expected at least one model name")
        return value

    @field_validator("llm_sample")
    @classmethod
    def _number_or_share(cls, value: float | None) -> float | None:
        if value is not None and value >= 1 and (value == 1 or value != int(value)):
            raise ValueError("expected a number of posts above 1, or a share below 1")
        return value

    @field_validator("languages")
    @classmethod
    def _codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [code for code in value if not re.fullmatch("[a-z]{2,3}", code)]:
            raise ValueError(f"expected codes such as en,es; got {wrong[0]!r:.20}")
        if ENGLISH not in value:
            raise ValueError(f"expected {ENGLISH} among them: it is always judged")
        return value

    @field_validator("trusted_labelers")
    @classmethod
    def _dids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [did for did in value if not did.startswith("did:")]:
            raise ValueError(f"expected DIDs like {MODERATION_SERVICE}, got {wrong[0]!r}")
        return value

    @field_validator("launcher_assets")
    @classmethod
    def _launchable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := set(value) - set(_LAUNCHABLE):
            raise ValueError(f"expected some of {', '.join(_LAUNCHABLE)}; got {', '.join(wrong)}")
        return value

    @field_validator("language_model", "k8s_pod")
    @classmethod
    def _existing_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.expanduser().is_file():
            raise ValueError(f"there is no file {value}")
        return value.expanduser().absolute() if value else None

    @field_validator("embeddings_model")
    @classmethod
    def _of_the_endpoint(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("embeddings_base_url") and not value:
            raise ValueError("BSKY_EMBEDDINGS_BASE_URL is set, and this must say which model there")
        return value

    @field_validator("feeds", mode="before")
    @classmethod
    def _parse_feeds(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        feeds: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in value.split(","))):
            name, separator, uri = part.partition("=")
            if not separator or not name.strip() or not uri.strip().startswith("at://"):
                raise ValueError(f"expected name=at://…, got {part!r}")
            if name.strip() in feeds:
                raise ValueError(f"the name {name.strip()!r} stands twice")
            feeds[name.strip()] = uri.strip()
        return feeds

    @field_validator("news_feeds", mode="before")
    @classmethod
    def _parse_news(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in value.split(","))):
            name, separator, place = (piece.strip() for piece in part.partition("="))
            side = name.partition(":")[2]
            if not separator or not name.partition(":")[0] or not place:
                raise ValueError("expected name=url or name:side=url in each part")
            if side and side not in SIDES:
                raise ValueError(f"{side!r:.20} is no side; expected one of {', '.join(SIDES)}")
            if has_credentials(place):
                raise ValueError(f"expected no user in the URL of {name!r:.50}")
            if name in found:
                raise ValueError(f"the name {name!r:.50} stands twice")
            found[name] = place
        return found

    @field_validator("sync_timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except Exception as error:
            raise ValueError(
                f"no timezone named {value!r}; expected one like America/Chicago"
            ) from error
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        path = value.expanduser().absolute()
        if "\\" in str(path):
            raise ValueError(
                f"{str(path)!r} has a backslash in it, which DuckDB takes for a slash; name another"
            )
        return path

    @property
    def lake_dir(self) -> Path:
        """The folder of partitions.

        Raises:
            InvalidSettings: they are in a bucket.
        """
        if self.lake_bucket:
            raise InvalidSettings(f"BSKY_LAKE_URL: {self.lake_bucket} is not a folder")
        return Path(self.lake_url) if self.lake_url else self.data_dir / "lake"

    @property
    def lake_bucket(self) -> str | None:
        """URL of the bucket and prefix of partitions, if they are in one."""
        return self.lake_url if self.lake_url and self.lake_url.startswith("s3://") else None

    @property
    def catalogue_path(self) -> Path:
        """The DuckDB file that people query."""
        return self.data_dir / "bsky.duckdb"

    @property
    def ledger_dir(self) -> Path:
        """The folder of what language models answered."""
        return self.data_dir / "ledger"

    @property
    def optimising_dir(self) -> Path:
        """The folder of what searches for better wordings leave."""
        return self.data_dir / "optimise"

    @property
    def other_languages(self) -> tuple[str, ...]:
        """Languages besides English whose posts all filters judge."""
        return tuple(code for code in self.languages if code != ENGLISH)

    @property
    def codebooks_dir(self) -> Path:
        """The folder of the user's codebooks."""
        return self.data_dir / "codebooks"

    @property
    def spill_dir(self) -> Path:
        """The folder that DuckDB spills to."""
        return self.data_dir / "spill"

    @property
    def reports_dir(self) -> Path:
        """The folder of daily reports."""
        return self.data_dir / "reports"

    @property
    def timezone(self) -> ZoneInfo:
        """The timezone of sync days."""
        return ZoneInfo(self.sync_timezone)

    @property
    def label_of_record(self) -> str:
        """The model whose labels are the product; the others are compared with it."""
        return self.llm_models[0]


def variable_name(field: str) -> str:
    """The environment variable of a field of `Settings`."""
    return f"{PREFIX}{field.upper()}"


def is_secret(value: object) -> bool:
    """Whether a setting's value must be seen by nobody: a key, or a URL with a password."""
    return isinstance(value, SecretStr) or has_credentials(value)


def as_variable(name: str, value: Any) -> str:
    """What `Settings` reads as the `value` of its field `name`; a secret is in it as it is."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    said = (one.by for one in Settings.model_fields[name].metadata if isinstance(one, _Written))
    return next(said, str)(value)


@cache
def get_settings() -> Settings:
    """The settings in force, read once a process.

    Raises:
        InvalidSettings: a variable cannot be used, or is unknown; the message names each.
    """
    if unknown := list(_unknown_variables()):
        raise InvalidSettings("; ".join(unknown))
    try:
        return Settings()
    except ValidationError as error:
        raise InvalidSettings(
            "; ".join(
                f"{variable_name(str(problem['loc'][0]))}: {_plain(problem['msg'])}"
                for problem in error.errors()
            )
        ) from None


def _unknown_variables() -> Iterator[str]:
    """What is wrong with the names of variables: in `.env` every one that is none of ours.

    In the environment other programs may have theirs, so there only what looks like a slip.
    """
    known = [variable_name(field) for field in Settings.model_fields]
    file = Settings.model_config.get("env_file")
    in_file = dotenv_values(str(file)) if file else {}
    for name in {**in_file, **os.environ}:
        if not name.upper().startswith(PREFIX) or name.upper() in known:
            continue
        near = get_close_matches(name.upper(), known, n=1, cutoff=0.7 if name in in_file else 0.85)
        if near or name in in_file:
            place = f"{file}: " if name in in_file else ""
            meant = f"; did you mean {near[0]}?" if near else "; `bsky-assets config` lists all"
            yield f"{place}{name} is unknown{meant}"


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
