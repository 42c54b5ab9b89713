"""From what each source brought to one record a post, and taking away what was deleted.

What belongs here: which posts of a day there are, which of several versions of one is taken, what
deletions do to stored days. What does not: judging posts. Raw rows come in, consolidated posts go
out.
"""
