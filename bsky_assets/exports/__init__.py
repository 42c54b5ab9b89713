"""Days of the lake as files to work with elsewhere and to archive with a paper.

What belongs here: files, their dictionary and their provenance, without what is known to be gone.
What does not: changing what is stored. Partitions come in, a folder goes out.
"""
