"""The assets, one file each: the folder reads as the lineage."""
