"""A sync day for a person's eyes: figures and the daily report."""
