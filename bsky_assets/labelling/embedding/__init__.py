"""Texts as vectors: from an OpenAI-compatible endpoint, or from a package that carries its weights.

`embedder_of(settings)` says which, and gives unit vectors for any texts. What an endpoint gave is
kept, so that no text goes to the same model twice. What does not belong here: what the vectors are
for (`news`, `students`).
"""
