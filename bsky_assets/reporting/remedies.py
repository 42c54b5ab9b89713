"""What to do when a check does not pass, by the check's name."""

_REMEDIES = {
    "firehose_has_no_gaps": (
        "What is missing is in no number of this day: say so wherever you use one."
    ),
    "firehose_covers_the_day": (
        "Do not compare its counts with those of whole days. To have whole days, let "
        "`bsky-assets collect` run."
    ),
    "repositories_are_whole": (
        "What these accounts did before is in no number of this day: say so wherever you use one."
    ),
    "no_new_fields": (
        "Nothing is lost: it is kept in unknown_fields. Look at the posts before you rely "
        "on a column that it may replace."
    ),
    "feeds_are_complete": (
        "Read the feed again while it still shows these posts: `bsky-assets sync feeds`. "
        "The firehose is not touched by this."
    ),
    "every_raw_post_is_accounted_for": (
        "Do not use this day. Make it again: `bsky-assets materialize --select "
        "'consolidated_posts+' --day` and the day."
    ),
    "uris_are_unique": (
        "Do not use its counts. Make the day again: `bsky-assets materialize --select "
        "'consolidated_posts+' --day` and the day."
    ),
    "every_post_has_a_verdict": (
        "Make the filters' part again: `bsky-assets materialize --select 'filtered_posts+' --day` "
        "and the day."
    ),
    "stop_rates_are_usual": (
        "Look at posts that this filter stopped (filter_reason says why) before you compare this "
        "day with others."
    ),
    "filters_do_not_move_the_shares": (
        "Give the shifts beside the shares, or take the filter that moves them out and make the "
        "day again."
    ),
    "sources_are_read": (
        "Articles of these sources stand beside no post of this day. Mend BSKY_NEWS_FEEDS, and "
        "read them again while they still have the articles: `bsky-assets materialize --select "
        "news_articles+ --day` and the day."
    ),
    "articles_came_before_posts": (
        "Do not use labels that were made with these articles. Find the articles again: "
        "`bsky-assets materialize --select news_context+ --day` and the day."
    ),
    "news_helps_where_it_is_used": (
        "Set BSKY_NEWS_CONTEXT=proven, or have more posts coded by people (BSKY_LLM_GOLD)."
    ),
    "labels_cover_all_passed_posts": (
        "The shares leave these posts out. Run `bsky-assets materialize --select llm_labels+ "
        "--day` and the day; what is labelled stays."
    ),
    "label_shares_in_range": (
        "Read some labels and their posts (`bsky-assets query`): the model or its prompt may have "
        "changed."
    ),
    "request_contains_the_post": (
        "Do not use the labels of this day: they may be of other posts. Make them again with "
        "`bsky-assets materialize --select llm_labels+ --day` and the day."
    ),
    "company_does_not_change_labels": (
        "Ask about fewer posts at a time (BSKY_LLM_BATCH_SIZE) and label the day again: "
        "`bsky-assets materialize --select llm_labels+ --day` and the day."
    ),
    "labels_agree_with_people": (
        "Use the corrected shares below, or another model or prompt: `bsky-assets labels eval` "
        "tells how each does."
    ),
    "day_is_complete": (
        "The sensor `follow_inputs` takes in what is missing; by hand: `bsky-assets materialize "
        "--day` and the day."
    ),
    "all_checks_can_be_made": (
        "Make what is damaged again, as the top of this page says, and then this report."
    ),
}


def remedy(check: str) -> str:
    """What to do about a check that did not pass."""
    return _REMEDIES.get(check, "Its page in the Dagster UI says what it expects.")
