"""People who label: the room they do it in, what they said, and how far they agree.

What does not belong here: labels by models (`labelling`), and what is concluded from people's
labels (`estimating`).
"""
