"""What a language model says of a post, and everything needed to trace it."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from bsky_assets.contracts.base import From, Row

Ideology = Literal["left", "right", "moderate", "unclear"]

_CONTEXT = (
    "filtered_posts.record.reply_parent",
    "filtered_posts.record.reply_root",
    "filtered_posts.record.embed.quoted_uri",
    "filtered_posts.record.embed.link_uri",
    "filtered_posts.record.embed.link_title",
    "filtered_posts.record.embed.link_description",
    "filtered_posts.record.embed.alt_texts",
    "consolidated_posts.uri",
    "consolidated_posts.cid",
    "consolidated_posts.record.text",
)
"""Besides the post the posts that it answers and quotes, found by URI; of several versions of one
the first by CID."""

_ASKED_ABOUT = ("filtered_posts.record.text", *_CONTEXT)

_STOPPED = (
    "filtered_posts.passed_filters",
    "filtered_posts.is_english",
    "filtered_posts.filtered_by_func",
)
_LABELLED = (
    "llm_labels.is_sociopolitical",
    "llm_labels.political_ideology",
    "llm_labels.is_label_of_record",
    "llm_labels.was_successfully_labeled",
)


class ScoredPost(Row):
    """How likely a student takes each label of a post that passed to be; no label of record.

    The student is a small classifier that learnt from labels (`bsky-assets labels distil`). There
    is no row where none is of use.
    """

    asset: ClassVar[str] = "student_scores"
    key: ClassVar[tuple[str, ...]] = ("uri",)
    rows_from: ClassVar[tuple[str, ...]] = ("filtered_posts.passed_filters",)

    uri: Annotated[str, From("filtered_posts.uri")] = Field(description="AT URI of the post.")
    political: Annotated[float, From("filtered_posts.record.text")] = Field(
        description="Probability that it is about politics or social issues, from 0 to 1."
    )
    left: Annotated[float | None, From("filtered_posts.record.text")] = Field(
        description="Probability that it takes the side of the left, if it is political; null "
        "where no student of sides is of use."
    )
    right: Annotated[float | None, From("filtered_posts.record.text")] = Field(
        description="The same of the right."
    )
    moderate: Annotated[float | None, From("filtered_posts.record.text")] = Field(
        description="The same of a moderate position."
    )
    unclear: Annotated[float | None, From("filtered_posts.record.text")] = Field(
        description="The same of no clear side."
    )
    student: str = Field(description="Hash of what the student of politics learnt from.")
    ideology_student: str | None = Field(description="The same of the student of sides.")


class LlmLabel(Row):
    """One label of one post by one model and prompt.

    Labels by an earlier prompt or model stay beside the present ones: to count posts, take the
    rows with `is_label_of_record`, one for each post that passed the filters.
    """

    asset: ClassVar[str] = "llm_labels"
    key: ClassVar[tuple[str, ...]] = (
        "uri",
        "model",
        "model_digest",
        "prompt_version",
        "schema_version",
        "parameters",
    )

    rows_from: ClassVar[tuple[str, ...]] = (
        "filtered_posts.passed_filters",
        "filtered_posts.metadata.source",
        "student_scores.political",
    )

    uri: Annotated[str, From("filtered_posts.uri")] = Field(description="AT URI of the post.")
    is_label_of_record: bool = Field(
        description="Whether this is the first model's label with the prompt now in force."
    )
    is_sociopolitical: Annotated[bool | None, From(*_ASKED_ABOUT)] = Field(
        description="Whether it is about politics or social issues; null if not labelled."
    )
    political_ideology: Annotated[Ideology | None, From(*_ASKED_ABOUT)] = Field(
        description="The side it takes; null where it is not sociopolitical."
    )
    confidence: Annotated[float | None, From(*_ASKED_ABOUT)] = Field(
        description="Probability of the answer by the model's own account, from 0 to 1: that of "
        "the tokens that it wrote; null where the server does not say it. Not calibrated."
    )
    reason: Annotated[str | None, From(*_ASKED_ABOUT)] = Field(
        description="Why, in the model's words; null unless BSKY_LLM_REASON asked for it."
    )
    was_successfully_labeled: bool = Field(description="Whether a valid answer was given.")
    error: str | None = Field(description="Why there is none.")
    label_timestamp: datetime = Field(description="When the answer arrived.")
    selection_chance: float | None = Field(
        description="Chance that the post was in the day's sample (BSKY_LLM_SAMPLE), by one over "
        "which it is weighed; 1 where all are asked about, null where that was not kept."
    )
    selection_stratum: str | None = Field(
        description="What it was drawn from; null where all are asked about."
    )
    text_hash: Annotated[str, From("filtered_posts.record.text")] = Field(
        description="SHA-256 of the normalised text that was asked about, in hex."
    )
    question_hash: Annotated[str, From(*_ASKED_ABOUT)] = Field(
        description="Hash of text and context as they were sent: llm_answers.question_hash."
    )
    context: Annotated[list[str], From(*_CONTEXT)] = Field(
        description="What was sent with the text: reply_to, thread_root, quoted, …"
    )
    model: str = Field(description="Name of the model, as the endpoint knows it.")
    model_digest: str | None = Field(
        description="What the endpoint says identifies its weights; null where it says nothing."
    )
    prompt_version: str = Field(description="Hash of the prompt that was sent; see llm_prompts.")
    schema_version: str = Field(description="Hash of the answer's JSON schema; see llm_prompts.")
    parameters: str = Field(description="Parameters of sampling, as JSON.")
    attempts: int = Field(description="How often it was asked.")
    prompt_tokens: int | None = Field(description="Tokens of the request, shared by its batch.")
    completion_tokens: int | None = Field(description="Tokens of the answer, likewise.")
    latency_seconds: float | None = Field(description="How long the request took.")
    batch_size: int = Field(description="How many posts were asked about in that request.")
    request_id: str | None = Field(
        description="The request: with slot, a row of llm_answers, which holds the raw answer."
    )
    slot: str | None = Field(description="The post's key in that request, p0 to pN.")


class DisputedPost(Row):
    """A post on which models disagree."""

    asset: ClassVar[str] = "model_agreement"
    key: ClassVar[tuple[str, ...]] = ("uri",)
    rows_from: ClassVar[tuple[str, ...]] = (
        "llm_labels.uri",
        "llm_labels.model",
        "llm_labels.political_ideology",
        "llm_labels.is_label_of_record",
        "llm_labels.was_successfully_labeled",
        "llm_labels.prompt_version",
        "llm_labels.schema_version",
        "llm_labels.label_timestamp",
    )

    uri: Annotated[str, From("llm_labels.uri")] = Field(description="AT URI of the post.")
    models: Annotated[list[str], From("llm_labels.model")] = Field(
        description="The models that labelled it."
    )
    labels: Annotated[list[str], From("llm_labels.political_ideology", "llm_labels.model")] = Field(
        description="What each says, in the same order; `none` for not sociopolitical."
    )


_SPOKEN_OF = (
    "filtered_posts.author.did",
    "filtered_posts.passed_filters",
    "filtered_posts.metadata.source",
    "student_scores.political",
    "llm_labels.selection_chance",
    *_LABELLED,
)
"""What estimates of a day's shares are made from, besides what people coded."""


class LabelShare(Row):
    """The share of one label in one stratum of the day, corrected by people and by the model alone.

    Corrected is right on average however wrong the model is, where people coded a designed sample;
    `method` says how, or why not.
    """

    asset: ClassVar[str] = "label_shares"
    key: ClassVar[tuple[str, ...]] = ("label", "share_of", "stratum")
    rows_from: ClassVar[tuple[str, ...]] = _SPOKEN_OF

    label: str = Field(description="`political`, for any side, or a side.")
    share_of: str = Field(
        description="What it is a share of: `all` posts that the labels speak of, or those that "
        "are `political`."
    )
    stratum: Annotated[str, From("filtered_posts.metadata.source", "student_scores.political")] = (
        Field(description="`all`, a source, or a group of a student's scores.")
    )
    posts: Annotated[int, From(*_SPOKEN_OF)] = Field(
        description="Posts that it speaks of: those with a label of record or, where a sample was "
        "asked about, all that it was drawn from."
    )
    labelled: Annotated[int, From(*_SPOKEN_OF)] = Field(
        description="Posts of these with a label of record."
    )
    coded: int = Field(description="Posts of these that people coded.")
    corrected: Annotated[float | None, From(*_SPOKEN_OF)] = Field(
        description="The share, corrected by what people coded; null where it is not corrected."
    )
    corrected_low: Annotated[float | None, From(*_SPOKEN_OF)] = Field(
        description="Lower end of its 95% interval."
    )
    corrected_high: Annotated[float | None, From(*_SPOKEN_OF)] = Field(description="Upper end.")
    naive: Annotated[float, From(*_SPOKEN_OF)] = Field(
        description="The share by the model's labels alone, wrong as far as the model is; of a "
        "sample, weighed by its design."
    )
    naive_low: Annotated[float, From(*_SPOKEN_OF)] = Field(
        description="Lower end of its 95% interval, which knows nothing of the model's mistakes."
    )
    naive_high: Annotated[float, From(*_SPOKEN_OF)] = Field(description="Upper end.")
    method: str = Field(description="How it was corrected, or why it was not.")
    people_sample: str | None = Field(description="The sample that people coded.")


class AuditedShare(Row):
    """What a filter does to one share of the day, by a sample of the English posts it stopped."""

    asset: ClassVar[str] = "filter_audit"
    key: ClassVar[tuple[str, ...]] = ("filter", "label")
    rows_from: ClassVar[tuple[str, ...]] = (
        "filtered_posts.passed_filters",
        "filtered_posts.is_english",
        "filtered_posts.filtered_by_func",
    )

    filter: Annotated[str, From("filtered_posts.filtered_by_func")] = Field(
        description="The filter; `all` for all of them together."
    )
    label: str = Field(
        description="The share: a label, or sociopolitical for all but not_sociopolitical."
    )
    stopped: Annotated[int, From(*_STOPPED)] = Field(
        description="English posts that the filter stopped."
    )
    sampled: Annotated[int, From(*_STOPPED)] = Field(
        description="How many of them the model of record has judged, drawn at random."
    )
    share: Annotated[float, From(*_STOPPED, *_ASKED_ABOUT)] = Field(
        description="Share of what the filter stopped, from 0 to 1."
    )
    share_low: Annotated[float, From(*_STOPPED, *_ASKED_ABOUT)] = Field(
        description="Lower end of its 95% interval."
    )
    share_high: Annotated[float, From(*_STOPPED, *_ASKED_ABOUT)] = Field(description="Upper end.")
    day_share: Annotated[float | None, From(*_LABELLED)] = Field(
        description="Share of the labelled posts of the day; null if there are none."
    )
    shift: Annotated[float | None, From(*_STOPPED, *_ASKED_ABOUT, *_LABELLED)] = Field(
        description="By how much day_share would move had the filter stopped nothing."
    )
    shift_low: Annotated[float | None, From(*_STOPPED, *_ASKED_ABOUT, *_LABELLED)] = Field(
        description="Lower end of its 95% interval."
    )
    shift_high: Annotated[float | None, From(*_STOPPED, *_ASKED_ABOUT, *_LABELLED)] = Field(
        description="Upper end."
    )
    posts: Annotated[list[str], From("filtered_posts.uri", *_ASKED_ABOUT)] = Field(
        description="AT URIs of the sampled posts that count for the share."
    )
    model: str = Field(description="The model of record.")
    model_digest: str | None = Field(description="What identifies its weights, if known.")
    prompt_version: str = Field(description="Hash of the prompt; see llm_prompts.")
    schema_version: str = Field(description="Hash of the answer's JSON schema; see llm_prompts.")


class LlmAnswer(Row):
    """One post's place in one request to a language model, and what came back for it.

    The ledger: rows are only ever added. The request is the prompt's text (`llm_prompts`) and a
    JSON object that has the `question` of each row of the request under its `slot`.
    """

    asset: ClassVar[str] = "llm_answers"
    key: ClassVar[tuple[str, ...]] = ("request_id", "slot", "prompt_version")

    request_id: str = Field(description="The request.")
    slot: str = Field(description="The post's key in it, p0 to pN.")
    question_hash: str = Field(description="Hash of `question`.")
    text_hash: str = Field(description="SHA-256 of the normalised text, in hex.")
    question: str = Field(description="Text and context as they were sent, as JSON.")
    is_valid: bool = Field(description="Whether there is a valid answer for this post.")
    answer: str | None = Field(
        default=None, description="The answer, as JSON; null if not valid, or from earlier times."
    )
    is_sociopolitical: bool | None = Field(
        description="The answer to sociopolitical; null if not valid, or to another codebook."
    )
    political_ideology: Ideology | None = Field(description="The answer; null where 'none'.")
    confidence: float | None = Field(
        default=None,
        description="Probability of the tokens of the answer, where the server says it.",
    )
    reason: str | None = Field(description="Why, in the model's words, where that was asked.")
    error: str | None = Field(description="What is wrong with it.")
    attempt: int = Field(description="How often the post had been asked about, this included.")
    raw_answer: str | None = Field(
        description="What the model wrote, for all posts of the request; null if nothing "
        "came, or one of the posts was deleted."
    )
    finish_reason: str | None = Field(description="Why it stopped writing.")
    batch_size: int = Field(description="How many posts the request asked about.")
    model: str = Field(description="Name of the model that was asked.")
    model_digest: str | None = Field(description="What identifies its weights, if known.")
    answered_by: str | None = Field(
        default=None, description="The model that answered, as the server says."
    )
    endpoint: str = Field(description="Kind and host of the server.")
    system_fingerprint: str | None = Field(description="What the server says of its set-up.")
    prompt_version: str = Field(description="Hash of the prompt; see llm_prompts.")
    schema_version: str = Field(description="Hash of the answer's JSON schema; see llm_prompts.")
    sent_prompt_version: str | None = Field(
        default=None,
        description="The prompt that was sent, where several codebooks were asked together.",
    )
    parameters: str = Field(description="Parameters that answers are known by, as JSON.")
    temperature: float | None = Field(description="What was asked for; higher when asked again.")
    response_format: str = Field(description="json_schema, json_object or text.")
    prompt_tokens: int | None = Field(description="Tokens of the request.")
    completion_tokens: int | None = Field(description="Tokens of the answer.")
    latency_seconds: float = Field(description="How long the request took.")
    answered_at: datetime = Field(description="When the answer arrived, or ceased to be awaited.")


class LlmPrompt(Row):
    """A prompt that was sent, with the schema of its answers."""

    asset: ClassVar[str] = "llm_prompts"
    key: ClassVar[tuple[str, ...]] = ("prompt_version", "schema_version")

    prompt_version: str = Field(description="Hash of `system_prompt`.")
    schema_version: str = Field(description="Hash of `answer_schema`.")
    name: str = Field(description="What the prompt's files call it.")
    system_prompt: str = Field(description="The fixed part, sent first.")
    answer_schema: str = Field(description="JSON schema of the answer for one post.")
    first_used_at: datetime = Field(description="When it was first sent.")
