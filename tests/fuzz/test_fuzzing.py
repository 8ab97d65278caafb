"""The fuzzer: a short run over all targets, and whether it finds what it is there to find."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fuzz.__main__ import main, reported
from fuzz.corpus import inputs
from fuzz.given_answer import Given
from fuzz.mutation import Mutator, written
from fuzz.running import fuzzed, replayed
from fuzz.target import ADDRESS, FlawError, Target
from fuzz.targets import TARGETS
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs.proof import kept

from bridge.errors import StoppedError, TemporaryError

INPUTS = {
    "listrak": 1200,
    "token": 400,
    "segment": 800,
    "http": 150,
    "environment": 250,
    "proxy": 250,
    "credentials": 250,
    "requests": 200,
    "state": 80,
    "rows": 60,
}
"""Inputs of each target that are tried here: seconds of all together."""


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run(name: str) -> None:
    """The same inputs each time; some are refused, others read, and none breaks a rule."""
    tally = fuzzed(TARGETS[name], [*inputs(name).values()], 0, _up_to(INPUTS[name]))
    assert [(finding.what, finding.data) for finding in tally.findings] == []
    assert tally.tried == INPUTS[name]
    assert tally.accepted > 0
    assert tally.accepted + tally.refused == tally.tried
    assert tally.outcomes > 2


def _up_to(number: int) -> Any:
    return lambda tally: tally.tried < number


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["data", "emailAddress", "sendDate", "open", "orderTotal", "status"]),
            inner,
        )
    ),
    max_leaves=12,
)


@settings(derandomize=True, max_examples=60, deadline=None, database=None)
@given(JSON, st.sampled_from(["activity", "contacts", "summary", "messages"]))
def test_any_json(value: Any, resource: str) -> None:
    """What Hypothesis makes up is drawn in another way than what is made of real answers."""
    bodies = [value, {"data": value}, {"data": [value, {}]}]
    answers = [Given(resource, 200, {}, json.dumps(body).encode()).data for body in bodies]
    verdicts = replayed(TARGETS["listrak"], answers, traced=False)
    assert [one.finding for one in verdicts if one.finding] == []


HIDDEN = "what nobody must read"


class Planted(Target):
    """Breaks a rule where an input has a word."""

    name = "planted"
    what = "words"

    async def take(self, data: bytes) -> str:
        """Does what the first word of it says."""
        if b"untyped" in data:
            raise KeyError(data)
        if b"secret" in data:
            raise TemporaryError(HIDDEN)
        if b"address" in data:
            return ADDRESS
        if b"lines" in data:
            raise TemporaryError("x" * 5000)
        if b"flaw" in data:
            raise FlawError("it is none")
        if b"code" in data:
            raise StoppedError("stopped", 130)
        if b"memory" in data:
            return str(len(bytes(110_000_000)))
        if b"refused" in data:
            raise TemporaryError("again")
        return "taken"

    def hidden(self, data: bytes) -> Iterable[str]:
        """Words that no error makes harmless by itself, too."""
        return (*super().hidden(data), HIDDEN)

    def mutated(self, data: bytes, mutator: Mutator) -> bytes:
        """Other bytes."""
        return mutator.of_bytes(data)


@pytest.mark.parametrize(
    ("word", "finding"),
    [
        ("untyped", "untyped: KeyError in "),
        ("secret", "told: by TemporaryError TemporaryError in "),
        ("address", "told: by what was read"),
        ("lines", "message: too long, or of several lines: TemporaryError in "),
        ("flaw", "wrong: it is none"),
        ("code", "exit code: 130"),
        ("memory", "large: more than 100 MB of memory"),
        ("refused", ""),
        ("", ""),
    ],
)
def test_rules(word: str, finding: str) -> None:
    """Each is looked at."""
    (verdict,) = replayed(Planted(), [word.encode()])
    assert verdict.finding == finding
    assert verdict.refused is (word in ("secret", "lines", "code", "refused"))


def test_what_is_found(tmp_path: Path) -> None:
    """It is made small, kept once, told, and found again in the corpus."""
    seeds = [b"a long input, unttyped, and more of it"]
    tally = fuzzed(Planted(), seeds, 1, lambda tally: tally.tried < 5000 and not tally.findings)
    (finding,) = tally.findings
    assert (finding.what, finding.data) == ("untyped: KeyError in ", b"untyped")
    assert finding.save(tmp_path) == finding.save(tmp_path)
    assert [*inputs("planted", tmp_path).values()] == [b"untyped"]
    assert reported({"planted": tally})["findings"] == ["planted: untyped: KeyError in "]


def test_the_same_seed() -> None:
    """It draws the same inputs; another one doesn't."""
    seeds = [*inputs("segment").values()]

    def drawn(seed: int) -> Iterator[int]:
        tally = fuzzed(TARGETS["segment"], seeds, seed, _up_to(120))
        yield from (tally.tried, tally.refused, tally.accepted, tally.outcomes)

    assert [*drawn(1)] == [*drawn(1)]
    assert len({tuple(drawn(seed)) for seed in range(4)}) > 1


def test_the_command(tmp_path: Path) -> None:
    """It tells the numbers, as JSON as well."""
    report = tmp_path / "report.json"
    asked = ["--minutes", "0.001", "--json", str(report), "--keep", str(tmp_path)]
    asked += ["credentials", "segment"]
    answer = CliRunner().invoke(main, asked)
    assert answer.exit_code == 0, answer.output
    assert "findings" in answer.output
    told = json.loads(report.read_text())
    assert (told["what"], told["findings"]) == ("fuzzer", [])
    assert told["tried"].keys() == {"credentials", "segment"}
    assert all(told["tried"].values())
    (proof,) = kept(tmp_path)
    assert [*proof.tried.values()] == [*told["tried"].values()]


def test_any_bytes_are_an_answer() -> None:
    """Whatever the corpus holds, it is read as an input, and written as the same one."""
    for data in (b"", b"activity", b"lists 2000\n\n{}", b"a 429\nRetry-After: 7\n\nbody\n\nmore"):
        one = Given.of(data)
        assert Given.of(one.data) == one
    assert written({"a": ["\x01raw\x01nul", 1]}, ascii_only=True) == b'{"a": [nul, 1]}'
