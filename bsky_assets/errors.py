"""What all errors are that a person can do something about; docs/errors.md lists them."""


class UserError(Exception):
    """Something that the user can mend; its message is one line that names what and says how."""


class BadUsage(UserError):
    """A command was given something that there is not: a day, an asset, a column."""
