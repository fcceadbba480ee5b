"""What can go wrong outside this program, said in one sentence with an exit code."""


class Failure(Exception):  # noqa: N818 - the family's name; its members say what failed
    """Something that the person at the keyboard can mend; its text is one sentence for them."""

    exit_code = 1


class UsageFailure(Failure):
    """Wrong usage, settings or rule files."""

    exit_code = 2


class SettingsError(UsageFailure):
    """A setting that is missing or cannot be read as what it should be."""


class OutsideFailure(Failure):
    """A log, output or broker that cannot be read, written or reached."""

    exit_code = 3
