"""The entry of the command: signals are handled before the slow imports begin."""

import gc
import os
import signal
import sys
from types import FrameType


def _leave(number: int, _frame: FrameType | None) -> None:
    """Ends the process: a service that has not begun has nothing to save, a command is undone.

    At once: what is raised here may be raised where Python, or SQLite, ignores it.
    """
    command, options = sys.argv[1:2], sys.argv[2:]
    if command == ["run"]:
        os._exit(75 if "--once" in options else 0)
    os._exit(130 if number == signal.SIGINT else 75)


def open_standard_streams() -> None:
    """Makes sure that the descriptors 0 to 2 are open; writing to what was closed fails.

    Else the next file or connection would become one of them.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)


def main() -> None:
    """The command `listrak-bridge`."""
    open_standard_streams()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    # numpy would start a thread for each core; its linear algebra isn't used here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is imported stays: looking for garbage in it meanwhile finds none, and takes its time.
    gc.disable()
    from bridge.cli import start

    start()


if __name__ == "__main__":
    main()
