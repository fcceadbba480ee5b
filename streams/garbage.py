"""How seldom Python looks for garbage: what is remembered is none, and rows leave no cycles."""

import gc
from typing import Final

_OBJECTS_BETWEEN_COLLECTIONS: Final = 100_000


def look_seldom() -> None:
    """Leave alone what is there now, and look through what comes later now and then.

    Looking through what is remembered again and again takes a tenth of the time; what few cycles
    are left behind are found all the same.
    """
    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 50, 50)
