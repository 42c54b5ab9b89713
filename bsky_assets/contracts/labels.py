"""What a language model says of a post, and everything needed to trace it."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bsky_assets.contracts.base import From, Row


class LlmLabel(Row):
    """One label of one post by one model and prompt."""

    asset: ClassVar[str] = "llm_labels"
    key: ClassVar[tuple[str, ...]] = ("uri", "model", "prompt_version")

    uri: Annotated[str, From("filtered_posts.uri", "filtered_posts.passed_filters")] = Field(
        description="AT URI of the post."
    )
    text_hash: Annotated[str, From("filtered_posts.record.text")] = Field(
        description="SHA-256 of the normalised text that was asked about, in hex."
    )
    model: str = Field(description="Name of the model, as the endpoint knows it.")
    model_digest: str | None = Field(
        description="What the endpoint says identifies its weights; null where it says nothing."
    )
    prompt_version: str = Field(description="Hash of the prompt that was sent.")
    schema_version: str = Field(description="Hash of the answer's JSON schema.")
    is_sociopolitical: Annotated[bool | None, From("filtered_posts.record")] = Field(
        description="Whether it is about politics or social issues; null if not labelled."
    )
    political_ideology: Annotated[
        Literal["left", "right", "moderate", "unclear"] | None, From("filtered_posts.record")
    ] = Field(description="The side it takes; null where it is not sociopolitical.")
    label_timestamp: datetime = Field(description="When the answer arrived.")
    was_successfully_labeled: bool = Field(description="Whether a valid answer was given.")
    error: str | None = Field(description="Why there is none.")
    attempts: int = Field(description="How often it was asked.")
    prompt_tokens: int | None = Field(description="Tokens of the request, shared by its batch.")
    completion_tokens: int | None = Field(description="Tokens of the answer, likewise.")
    latency_seconds: float | None = Field(description="How long the request took.")
    batch_size: int = Field(description="How many posts were asked about in that request.")
    request_id: str | None = Field(
        description="The request in the ledger, which holds prompt and raw answer."
    )
