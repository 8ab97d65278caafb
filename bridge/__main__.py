"""The command's entry. Signals are minded before anything is imported that takes time."""

import os
import signal
import sys
from types import FrameType


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Nothing has begun, so there is nothing to save."""
    sys.exit(0)


def main() -> None:
    """The command `listrak-bridge`."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    # numpy would start a thread for every core, for algebra that nobody does here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from bridge.cli import start

    start()


if __name__ == "__main__":
    main()
