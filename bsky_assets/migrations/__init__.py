"""Bringing older data into today's shape: the author's old databases, and older partitions."""
