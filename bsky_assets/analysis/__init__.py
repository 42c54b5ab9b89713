"""From labels to conclusions: what people and students say of posts, and what follows from it.

What belongs here: people's labels (`coding`), small classifiers (`students`), corrected estimates
(`estimating`), declared and sealed studies (`studies`). What does not: labels by language models
(`labelling`). Posts and labels come in; labels by people, scores, estimates and studies go out.
"""
