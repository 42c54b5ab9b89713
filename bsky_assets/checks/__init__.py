"""What each asset is checked for, one file an asset, by its name.

A check takes the partition that was stored and names what is wrong with it. Those that block
are declared with the asset itself, so that they stop what is downstream in the same run.
"""
