"""A day of filtered posts to label, and a tiny language model of random weights."""

import os
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from bsky_assets.contracts import FilteredPost, LlmLabel, Row
from bsky_assets.contracts.codebooks import CodebookLabel, load_codebooks, rows_of
from bsky_assets.labelling.asking.policy import Policy
from bsky_assets.labelling.day import label_day
from bsky_assets.settings import Settings
from bsky_assets.storage.lake import Lake
from bsky_assets.storage.partition import Partition
from bsky_assets.storage.tables import rows_by_settings
from testbed.rows import filtered_post, table

DAY = date(2026, 3, 8)
IDEOLOGIES = ("left", "right", "moderate", "unclear")
PATIENT = Policy(shortest_timeout=100.0)
"""An endpoint that answers is waited for, however busy the machine is."""


@dataclass(frozen=True)
class Known:
    """A post as the sandbox's endpoint knows it."""

    text: str
    is_political: bool = False
    ideology: str | None = None

    @property
    def record(self) -> dict[str, Any]:
        return {"$type": "app.bsky.feed.post", "text": self.text}


def known_posts(count: int, first: int = 0) -> list[Known]:
    """Posts of which every third is political."""
    return [
        Known(f"Post number {n} says what it says", True, IDEOLOGIES[n // 3 % 4])
        if n % 3 == 0
        else Known(f"Post number {n} is about a garden")
        for n in range(first, first + count)
    ]


@dataclass
class Lab:
    """A data directory with a day of filtered posts, and an endpoint to label them with."""

    folder: Path
    url: str
    options: dict[str, Any] = field(default_factory=dict)
    _made: tuple[object, Settings] | None = None

    @property
    def settings(self) -> Settings:
        options = {"llm_models": ("sandbox",), "llm_company_sample": 0, **self.options}
        options |= {"data_dir": self.folder, "llm_base_url": self.url}
        made_of = options, dict(os.environ)
        if self._made is None or self._made[0] != made_of:  # to make them anew takes milliseconds
            self._made = deepcopy(made_of), Settings(_env_file=None, **options)
        return self._made[1]

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "lake", more=rows_by_settings(self.settings))

    def codebook(self, text: str) -> type[CodebookLabel]:
        """Put a codebook into the data directory; the contract of its table."""
        name = str(tomllib.loads(text)["name"])
        self.settings.codebooks_dir.mkdir(parents=True, exist_ok=True)
        (self.settings.codebooks_dir / f"{name}.toml").write_text(text, "utf-8")
        loaded = load_codebooks(self.settings.codebooks_dir)
        assert not loaded.problems
        (row,) = (row for row in rows_of(loaded) if row.codebook.name == name)
        return row

    def filtered(self, posts: Iterable[dict[str, Any]]) -> None:
        self.lake.write(FilteredPost, DAY, table(FilteredPost, posts))

    def texts(self, posts: Sequence[Known]) -> None:
        self.filtered(filtered_post(number, post.text) for number, post in enumerate(posts))

    def label(self, **options: Any) -> Partition:
        own = {
            f"llm_{name}": options.pop(name) for name in ("models", "batch_size") if name in options
        }
        settings = self.settings.model_copy(update=own)
        with duckdb.connect() as con:
            return label_day(con, self.lake, DAY, settings, **{"policy": PATIENT, **options})

    def rows(self, row: type[Row] = LlmLabel) -> list[dict[str, Any]]:
        with duckdb.connect() as con:
            found = self.lake.relation(con, row, [DAY]).to_arrow_table()
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows

    def labels(self) -> dict[str, tuple[bool, str | None]]:
        """The label of record of each post, by URI."""
        rows = [row for row in self.rows() if row["is_label_of_record"]]
        found = {
            row["uri"]: (row["is_sociopolitical"], row["political_ideology"])
            for row in rows
            if row["was_successfully_labeled"]
        }
        assert len({row["uri"] for row in rows}) == len(rows), "a post has two labels of record"
        return found


def expected(posts: Sequence[Known]) -> dict[str, tuple[bool, str | None]]:
    """The labels that the sandbox gives to the posts of `Lab.texts`."""
    return {
        filtered_post(number, post.text)["uri"]: (post.is_political, post.ideology)
        for number, post in enumerate(posts)
    }


CHAT = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "


def write_random_gguf(
    path: Path, *, context: int = 32_768, seed: int = 0, template: str | None = CHAT
) -> Path:
    """A llama of 90 thousand random weights that reads and writes bytes: what it says means
    nothing, but a server serves it as any other model."""
    import gguf

    width, heads, inner = 64, 2, 128
    tokens: list[tuple[str, int]] = [
        ("<unk>", gguf.TokenType.UNKNOWN),
        ("<s>", gguf.TokenType.CONTROL),
        ("</s>", gguf.TokenType.CONTROL),
        *((f"<0x{byte:02X}>", gguf.TokenType.BYTE) for byte in range(256)),
        *((chr(code), gguf.TokenType.NORMAL) for code in range(33, 127)),
        ("\N{LOWER ONE EIGHTH BLOCK}", gguf.TokenType.NORMAL),
    ]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("random weights")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in tokens])
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([kind for _, kind in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    if template:
        writer.add_chat_template(template)
    dice = np.random.default_rng(seed)

    def weights(name: str, *shape: int) -> None:
        writer.add_tensor(name, (dice.standard_normal(shape) * 0.1).astype(np.float32))

    weights("token_embd.weight", len(tokens), width)
    weights("output.weight", len(tokens), width)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        weights(f"blk.0.{name}.weight", width, width)
    weights("blk.0.ffn_gate.weight", inner, width)
    weights("blk.0.ffn_up.weight", inner, width)
    weights("blk.0.ffn_down.weight", width, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@contextmanager
def environment(lab: Lab) -> Iterator[dict[str, str]]:
    """The variables that point a process of the platform at `lab`."""
    settings = lab.settings
    yield {
        "BSKY_DATA_DIR": str(settings.data_dir),
        "BSKY_LLM_BASE_URL": settings.llm_base_url,
        "BSKY_LLM_MODELS": ",".join(settings.llm_models),
    }
