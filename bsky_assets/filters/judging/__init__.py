"""Judging posts: a filter a file, its words, rules and canaries in the TOML file of its name.

What belongs here: when a filter stops a post. What does not: what only a whole day can tell
(`facts`), how text is read (`words`). Posts in columns come in, a verdict on each goes out.
"""
