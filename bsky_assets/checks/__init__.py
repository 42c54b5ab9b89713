"""What each asset is checked for, a file an asset, by its name.

What belongs here: naming what is wrong with a stored partition; checks that block are declared with
the asset, so that they stop what is downstream in the same run. What does not: mending it, or what
to do then (`reporting.remedies`). Partitions come in, outcomes go out.
"""
