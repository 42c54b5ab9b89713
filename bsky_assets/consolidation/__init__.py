"""From what each source brought to one record a post."""
