"""People who label: the room they do it in, what they said, and how far they agree.

What belongs here: codebooks, items, what each coder said and when. What does not: labels by models
(`labelling`). Posts come in, labels by people and their agreement go out.
"""
