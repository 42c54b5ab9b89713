"""Benchmarks; each ends with one line of JSON."""
