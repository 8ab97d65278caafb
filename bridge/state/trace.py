"""The trace of a state file, in the lock file beside it: that there was one, and how far it was."""

import os
from contextlib import suppress
from typing import Final

LOCK_NOTE: Final = b"The state file of listrak-bridge is beside this file.\n"
"""The content of the lock file once there is a state file."""


def note(lock: int) -> None:
    """Writes into the lock file that a state file is there: should it be lost, that is noticed."""
    if not os.fstat(lock).st_size:
        with suppress(OSError):
            # On a full disk there is a trace less; the next start writes it.
            os.write(lock, LOCK_NOTE)
