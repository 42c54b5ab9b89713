"""The filters: which posts are English, and of these which are noise, and why."""
