"""The errors that a person can do something about."""


class UserError(Exception):
    """Something that the user can mend; its message is one line that names what and says how."""
