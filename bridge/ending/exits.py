"""The ends of commands: how errors become messages and exit codes."""

import atexit
import errno
import gc
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final, NoReturn

import anyio
import click

from bridge.ending.hard_end import FAULT, INTERRUPTED, STOPS
from bridge.ending.signals import unless_signalled
from bridge.errors import BridgeError, cause
from bridge.output.logs import adopt_others, configure_logging, log, tell_the_rest
from bridge.output.standard_error import STANDARD_ERROR, take_over
from bridge.output.texts import harmless

USAGE: Final = 64
_MAIN: Final = threading.main_thread()


class Commands(click.Group):
    """The commands; output that can't be written ends them with a word, not with a traceback."""

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:
        """Parses the command line; help is written here."""
        try:
            return super().make_context(*arguments, **extra)
        except OSError as error:
            if error.filename is not None:
                # It is no output, which has no name.
                raise
            raise click.exceptions.Exit(_unwritten(error)) from None

    def invoke(self, context: click.Context) -> Any:
        """Runs a command."""
        try:
            return super().invoke(context)
        except OSError as error:
            if error.filename is not None:
                # It is no output, which has no name.
                raise
            raise click.exceptions.Exit(_unwritten(error)) from None


def complete(work: Callable[[], Awaitable[Any]]) -> Any:
    """Runs a coroutine function; an unexpected error is logged with its traceback, exit code 75."""
    # All that it needs is imported by now (see bridge/__main__.py).
    gc.freeze()
    gc.enable()
    try:
        return anyio.run(unless_signalled, work)
    except (BridgeError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001  (the last place to say what happened)
        fault = cause(error)
        if isinstance(fault, BridgeError):
            raise fault from None
        if isinstance(fault, OSError) and fault.filename is None:
            # All other input and output is translated where it is done.
            raise fault from None
        log.critical("bridge.fault", exc_info=fault)
        raise click.exceptions.Exit(FAULT) from None


def run_to_the_end(commands: click.Group) -> None:
    """Runs the command line and ends the process with the exit code of the contract."""
    take_over()
    # Until the settings are known.
    configure_logging(level="info", style="auto")
    adopt_others()
    atexit.register(tell_the_rest)
    try:
        code = commands.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = INTERRUPTED
    except click.exceptions.Exit as leave:
        code = leave.exit_code
    except click.ClickException as error:
        error.show()
        code = USAGE
    except BridgeError as error:
        click.echo(f"listrak-bridge: {harmless(str(error))}", err=True)
        code = error.exit_code
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception:  # noqa: BLE001  (the last place to say what happened)
        log.critical("bridge.fault", exc_info=True)
        code = FAULT
    _leave(_written(code if isinstance(code, int) else 0))


def _leave(code: int) -> NoReturn:
    """Ends the process, without a wait for threads that may hang."""
    # It is done: what comes now must not end it with another code.
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    if all(thread.daemon for thread in threading.enumerate() if thread is not _MAIN):
        sys.exit(code)
    tell_the_rest()
    STANDARD_ERROR.drain()
    os._exit(code)


def _written(code: int) -> int:
    """The exit code, once all output is written; FAULT where that can't be done."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is left of it must not be tried again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or _unwritten(error)
    return code


def _unwritten(error: OSError) -> int:
    """The exit code after output that couldn't be written; a reader who has enough is no fault."""
    if error.errno == errno.EPIPE:
        return 0
    click.echo(f"listrak-bridge: can't write the output: {error.strerror}", err=True)
    return FAULT
