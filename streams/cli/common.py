"""What commands that follow settings have in common."""

import os
import sys

from streams.settings import Settings, load_settings, unknown_settings


def settings_of(**flags: object) -> Settings:
    """Return the effective settings, and warn on stderr of variables that are none.

    Raises:
        SettingsError: Something cannot be read.
    """
    for sentence in unknown_settings(os.environ):
        sys.stderr.write(f"ringfence: warning: {sentence}\n")
    return load_settings(os.environ, **flags)
