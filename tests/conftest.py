"""What holds for every test."""

from hypothesis import settings

# A busy machine is no bug.
settings.register_profile("ringfence", deadline=None)
settings.load_profile("ringfence")
