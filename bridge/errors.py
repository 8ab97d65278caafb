"""Errors, named for the caller's next move; the message is for the person who runs the bridge."""

from typing import Final

import anyio

from bridge.output import texts


class BridgeError(Exception):
    """Base of the errors that the bridge raises on purpose.

    The message is made harmless here, as it may quote others, and goes to logs, to terminals and
    into the state file.

    exit_code: exit code of the command line.
    """

    exit_code = 75

    def __init__(self, message: str = "") -> None:
        super().__init__(texts.harmless(message))


class UsageError(BridgeError):
    """A mistake on the command line: report it and stop."""

    exit_code = 64


class ConfigurationError(BridgeError):
    """A setting is missing or wrong, or the account lacks what it names: stop, don't retry."""

    exit_code = 78

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting


class StateError(BridgeError):
    """The state file can't be used for now (locked, not writable, no such folder): stop."""

    exit_code = 73


class StateDamagedError(BridgeError):
    """The state file isn't one of ours, is damaged or was written by a newer version: stop."""

    exit_code = 65


class TemporaryError(BridgeError):
    """A failure that may pass by itself: wait and try again.

    retry_after: seconds to wait, if the server said so.
    throttled: the server has too much to do, whatever it is asked for.
    common: it is of what all requests need, such as the access token.
    isolated: others are answered meanwhile, so that it is of what was asked for alone.
    """

    throttled = False
    common = False
    isolated = False

    def __init__(
        self, message: str, retry_after: float | None = None, *, isolated: bool | None = None
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        if isolated is not None:
            self.isolated = isolated


class StoppedError(TemporaryError):
    """The process was told to end before its work was done: nothing is lost, run it again.

    exit_code: 75 for SIGTERM, 130 for Ctrl-C.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class OversizeError(TemporaryError):
    """An answer has more bytes than it may have: ask for less, or try again."""

    isolated = True


class CredentialsError(TemporaryError):
    """A server refuses the bridge's credentials: pause, report, retry slowly. Nothing is lost."""

    exit_code = 78

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}", retry_after=None)
        self.setting = setting


class RefusedError(BridgeError):
    """A server says that the request itself is wrong: repeating it as it is won't help."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class MissingError(RefusedError):
    """The resource doesn't exist, or no longer does: go on without it."""


class CursorError(RefusedError):
    """A page cursor isn't accepted any more: start that scan again."""


class EndlessError(CursorError):
    """Pages go on without any rows: started again with the first one, they would again."""


class PageError(Exception):
    """A page that was read can't be turned into events: its poll as a whole fails by that.

    __cause__: what happened, which nobody expected.
    """

    def __init__(self, message: str) -> None:
        super().__init__(texts.harmless(message))


def is_unexpected(error: Exception) -> bool:
    """Tells whether a failure is none of ours: most likely a mistake of this program.

    A queue that is closed, as what reads it has failed, isn't meant: the fault is on its other end.
    """
    return not isinstance(
        cause(error), BridgeError | anyio.BrokenResourceError | anyio.ClosedResourceError
    )


def is_isolated(error: Exception) -> bool:
    """Tells whether a failure is of what was asked for alone, so that others need not wait."""
    if isinstance(error, BridgeError):
        return isinstance(error, RefusedError) or getattr(error, "isolated", False)
    return is_unexpected(error)


FATAL: Final = (ConfigurationError, StateError, StateDamagedError)
"""Errors that a restart doesn't mend."""


def cause(error: BaseException) -> BaseException:
    """The decisive error of a group: a FATAL one, else a BridgeError, else the first."""
    leaves = list(_leaves(error))
    for kind in (FATAL, BridgeError, BaseException):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return error


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
