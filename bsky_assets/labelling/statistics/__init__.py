"""Statistics of labels: against people, of models against each other, and of a model by itself.

What belongs here: samples, files of labels by people, agreement, corrected shares. What does not:
making labels. Labels come in, estimates with intervals go out.
"""
