"""News beside posts: articles, their vectors, the names in them, and which post is told of which.

What belongs here: reading sources, one article for its many copies, names in the news, the gate,
what is sent. What does not: asking models (`labelling`). Articles never stop a day: what cannot be
had is told in the details of its partition, and labels go on without it. Feeds and posts come in;
articles, and which of them a post is asked with, go out.
"""
