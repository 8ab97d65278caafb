"""Runs the tests that Segment's Python client ships, against an emulator.

`python segment_sdk_suite.py URL` runs all but `LEFT_OUT` and prints, as JSON, `run` (how many)
and `failed` (what went wrong, by test).
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
import unittest
import unittest.mock
from collections.abc import Iterator
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

sys.modules["mock"] = unittest.mock  # the tests want the package that this once was

from segment.analytics import request as transport  # noqa: E402

SEGMENT = "https://api.segment.io"
MODULES = ("client", "consumer", "init", "module", "oauth", "request", "utils")
LEFT_OUT = ("test_should_timeout",)  # counts on a server that is far away
# Reads two seconds from now, cut to the second, as one at least: not so at a second's very end.
AT_A_SECONDS_BEGINNING = ("test_parse_retry_after_http_date_future",)
AT_ONCE = 12  # they mostly sleep


class Redirected(HTTPAdapter):
    """Sends to `url` what was meant for Segment."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        request.url = (request.url or "").replace(SEGMENT, self._url)
        kwargs["proxies"] = {}  # those of the environment don't lead to this machine
        return super().send(request, *args, **kwargs)


def tests_of(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from tests_of(test)
        else:
            yield test


def chosen() -> list[unittest.TestCase]:
    modules = [f"segment.analytics.test.test_{module}" for module in MODULES]
    tests = tests_of(unittest.defaultTestLoader.loadTestsFromNames(modules))
    return [test for test in tests if test.id().rpartition(".")[2] not in LEFT_OUT]


TESTS = chosen()


def run(number: int) -> tuple[int, list[tuple[str, str]]]:
    """Return the number of tests run, one, and their failures."""
    result = unittest.TestResult()
    if TESTS[number].id().rpartition(".")[2] in AT_A_SECONDS_BEGINNING:
        time.sleep(1 - time.time() % 1)
    TESTS[number].run(result)
    return result.testsRun, [(test.id(), why) for test, why in result.failures + result.errors]


def main(url: str) -> None:
    transport._session.mount(SEGMENT, Redirected(url))
    # A process each: the threads that a test leaves behind disturb the next one.
    with multiprocessing.get_context("fork").Pool(AT_ONCE, maxtasksperchild=1) as pool:
        results = pool.map(run, range(len(TESTS)), chunksize=1)
    failed = dict(failure for _, failures in results for failure in failures)
    print(json.dumps({"run": sum(ran for ran, _ in results), "failed": failed}))


if __name__ == "__main__":
    main(sys.argv[1])
