"""The ledger: every answer of a model as it came, and the way from a label back to its request.

What belongs here: keeping answers, finding them again, and forgetting words of deleted posts. What
does not: asking, and which answer becomes a label. Answers come in and are never changed.
"""
