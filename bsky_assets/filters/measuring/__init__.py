"""Measuring: labelled texts, figures, canaries, and training models on a user's texts.

What belongs here: asking filters about texts whose answer is known. What does not: judging.
Filters and labelled texts come in; figures, failures and models go out.
"""
