"""Targets: what reads inputs, as the service does; and what no input may lead to."""

import resource
import signal
import time
import tracemalloc
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from bridge.errors import BridgeError, TemporaryError
from bridge.transport.retry import LONGEST_WAIT
from fuzz.mutation import Mutator
from fuzz.shrinking import smaller_bytes

ADDRESS: Final = "jane.fuzz@example.com"
SECRET: Final = "fuzz-S3cr3t-7Kq9Zx"
"""What stands in inputs, and must not be told."""

EXIT_CODES: Final = frozenset([64, 65, 73, 75, 78])
LONGEST_MESSAGE: Final = 3000
"""Characters of an error's message at most; a path of a file can be long."""

REFUSED: Final = "refused"
"""What became of an input that is refused without an error."""

MOST_SECONDS: Final = 2.0
"""Seconds of the processor at most for an input."""

ENDED_AFTER: Final = 20.0
"""Seconds of it after which what still goes on is ended."""

MOST_MEMORY: Final = 100_000_000
"""Bytes at most that an input has in memory at once."""

_GROWTH: Final = 16_384
"""Kilobytes by which the process has to grow before an input's own memory is measured."""


class FlawError(Exception):
    """What was read breaks a rule: the text says which."""


class Target(ABC):
    """What reads inputs of one kind.

    name: of its folder in the corpus, too.
    what: what it reads, for people.
    """

    name: str
    what: str

    @abstractmethod
    async def take(self, data: bytes) -> str:
        """Has the bridge read an input; returns in few words what became of it.

        Raises BridgeError where it is refused, FlawError where what was read can't be right.
        """

    @abstractmethod
    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """Another input that is made of this one."""

    def smaller(self, data: bytes) -> Iterator[bytes]:
        """Smaller inputs made of one, the smallest first."""
        return smaller_bytes(data)

    def hidden(self, data: bytes) -> Iterable[str]:  # noqa: ARG002  (others look at it)
        """What must not be told of an input."""
        return ADDRESS, SECRET


class Verdict(NamedTuple):
    """What came of an input.

    what: in few words, so that inputs with new ones are worth going on from.
    refused: by an error of ours, or put aside.
    finding: the rule that is broken, "" for none.
    """

    what: str
    refused: bool
    finding: str = ""


class TooLongError(BaseException):
    """An input takes too long; nothing else catches this."""


async def judged(target: Target, data: bytes, *, traced: bool = False) -> Verdict:
    """Gives an input to a target, and judges what comes of it.

    traced: its memory is measured, which takes three times as long.
    """
    before = _peak()
    began = time.process_time()
    verdict = await (_traced(target, data) if traced else _taken(target, data))
    if verdict.finding:
        return verdict
    if time.process_time() - began > MOST_SECONDS and not traced:
        return verdict._replace(finding=f"slow: more than {MOST_SECONDS:g} s")
    if not traced and _peak() - before > _GROWTH:
        return await _traced(target, data)
    return verdict


def _peak() -> int:
    """Kilobytes that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def _traced(target: Target, data: bytes) -> Verdict:
    tracemalloc.start()
    try:
        verdict = await _taken(target, data)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if not verdict.finding and most > MOST_MEMORY:
        return verdict._replace(finding=f"large: more than {MOST_MEMORY // 10**6} MB of memory")
    return verdict


async def _taken(target: Target, data: bytes) -> Verdict:
    try:
        with _ended():
            what = await target.take(data)
    except BridgeError as error:
        finding = _finding(error, target.hidden(data))
        return Verdict(f"{type(error).__name__}: {error}", True, finding)
    except FlawError as flaw:
        return Verdict(str(flaw), False, f"wrong: {flaw}")
    except TooLongError:
        return Verdict("ended", False, f"endless: more than {ENDED_AFTER:g} s")
    except Exception as error:  # noqa: BLE001  (whatever comes is what is looked for)
        return Verdict(f"{type(error).__name__}", False, f"untyped: {_place(error)}")
    is_told = any(text in what for text in target.hidden(data))
    return Verdict(what, what == REFUSED, "told: by what was read" if is_told else "")


def _finding(error: BridgeError, hidden: Iterable[str]) -> str:
    message = str(error)
    if any(text in message for text in hidden):
        return f"told: by {type(error).__name__} {_place(error)}"
    if error.exit_code not in EXIT_CODES:
        return f"exit code: {error.exit_code}"
    wait = error.retry_after if isinstance(error, TemporaryError) else None
    if wait is not None and not 0 <= wait <= LONGEST_WAIT:
        return f"wait: too long: {_place(error)}"
    if len(message) > LONGEST_MESSAGE or "\n" in message:
        return f"message: too long, or of several lines: {_place(error)}"
    return ""


def _place(error: Exception) -> str:
    """The kind of an error, and where in the bridge it was raised."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if "/bridge/" in code.co_filename:
            place = f"{Path(code.co_filename).name}:{code.co_name}"
        trace = trace.tb_next
    return f"{type(error).__name__} in {place}"


@contextmanager
def _ended() -> Iterator[None]:
    """Ends what takes too long, by the processor's time."""

    def end(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, ENDED_AFTER)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
