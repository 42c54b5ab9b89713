"""A sync day for a person's eyes: figures and the daily report.

What belongs here: what a day's partitions say, in words, numbers and pictures. What does not:
counting it, which was done when they were stored. Partitions come in, pages go out.
"""
