"""What there is to be materialised."""

EVERY_ASSET = {
    "raw_firehose_posts",
    "raw_feed_posts",
    "raw_post_deletions",
    "raw_moderation_labels",
    "consolidated_posts",
    "filtered_posts",
    "student_scores",
    "llm_labels",
    "label_shares",
    "model_agreement",
    "filter_audit",
    "daily_report",
}
