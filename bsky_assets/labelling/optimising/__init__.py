"""Better words for a codebook, shown to be better on posts that were kept from the search.

What belongs here: the division of coded posts, the search among wordings, the sealed test and what
it decides. What does not: how a model is asked (`asking`), and the statistics (`statistics`).
A codebook and coded posts come in; another wording, or none, goes out.
"""
