"""A data platform for the public conversation on Bluesky: from the wire to a traceable label."""
