"""The assets, a file each: the folder reads as the lineage.

What belongs here: what an asset is in Dagster's eyes, and which function makes it. What does not:
how it is made (the domain), or how any asset is shown. A partition's day comes in, what its
materialisation tells goes out.
"""
