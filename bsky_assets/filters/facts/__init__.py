"""Facts: what only the whole day, its accounts and its labels can tell of a post.

What belongs here: queries over a day and its window. What does not: what a text says (`judging`).
Consolidated posts and labels come in; for each filter, rows with a reason to stop them go out.
"""
