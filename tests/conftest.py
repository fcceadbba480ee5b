"""What holds for all tests."""

from hypothesis import settings

# A busy machine is no bug.
settings.register_profile("without_deadline", settings.default, deadline=None)
settings.load_profile("without_deadline")
