"""Texts as vectors: from an OpenAI-compatible endpoint, or from a package that carries its weights.

`embedder_of(settings)` says which, and gives unit vectors for any texts. What an endpoint gave is
kept, so that no text goes to the same model twice. What belongs here: asking for vectors, and
keeping them. What does not: what they are for (`news`, `students`).
Texts come in, unit vectors go out.
"""
