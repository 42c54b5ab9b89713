"""Days of the lake as files to work with elsewhere and to archive with a paper."""
