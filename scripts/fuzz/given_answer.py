"""Answers as inputs: status, headers and body, in a text that a person can read and write."""

import json
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from multidict import CIMultiDict

from bridge.errors import OversizeError
from bridge.transport.http import Answer
from fuzz.mutation import Mutator
from fuzz.shrinking import smaller_json

STATUSES: Final = (200, 201, 204, 206, 302, 400, 401, 403, 404, 408, 410, 413, 422, 429, 460)
STATUSES_TOO: Final = (500, 501, 503, 505, 599, 100, 999)

HEADERS: Final = {
    "Retry-After": ("0", "7", "301", "-1", "1e9", "9" * 400, "\u0661", "soon", ""),
    "Date": ("Tue, 12 May 2026 08:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "now", ""),
}
_LATER: Final = ("Tue, 12 May 2026 08:00:09 GMT", "Mon, 01 Jan 0001 00:00:00 +2359", "9 9 9 9")

PAGES_OF_OTHERS: Final = (
    b"<!DOCTYPE html><html><body>Sign in, jane.fuzz@example.com</body></html>",
    b'{"status":401,"error":"ERROR_UNAUTHORIZED","message":"no jane.fuzz@example.com"}',
    b'{"status":404,"error":"ERROR_NOT_FOUND","message":"fuzz-S3cr3t-7Kq9Zx"}',
    b'{"success":true}',
    b'{"data":[],"nextPageCursor":null}',
    b"",
)


class Given(NamedTuple):
    """An input.

    what: the resource that answers.
    """

    what: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, data: bytes) -> "Given":
        """Reads any bytes as an input: `what status`, headers, an empty line, the body."""
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.decode("utf-8", "replace").split("\n")
        what, _, status = first.partition(" ")
        number = int(status) if status.isascii() and status.isdigit() and len(status) < 4 else 200
        headers: CIMultiDict[str] = CIMultiDict()
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip()] = value.strip()
        return cls(what, number, headers, body)

    @property
    def data(self) -> bytes:
        """The input as bytes."""
        lines = [f"{self.what} {self.status}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\n".join(lines).encode("utf-8", "replace") + b"\n\n" + self.body

    @property
    def answer(self) -> Answer:
        """The answer as the transport gives it."""
        return Answer(self.status, self.headers, self.body)

    def mutated(self, mutator: Mutator) -> "Given":
        """Another answer, made of this one."""
        random = mutator.random
        chance = random.random()
        if chance < 0.003:
            return self._replace(body=self._enlarged(mutator))
        if chance < 0.72:
            return self._replace(body=mutator.of_json(self.body))
        if chance < 0.82:
            return self._replace(body=mutator.of_bytes(self.body))
        if chance < 0.86:
            return self._replace(body=random.choice(PAGES_OF_OTHERS))
        if chance < 0.93:
            return self._replace(status=random.choice(random.choice((STATUSES, STATUSES_TOO))))
        headers = CIMultiDict(self.headers)
        name = random.choice([*HEADERS])
        headers[name] = random.choice(random.choice((HEADERS[name], _LATER)))
        return self._replace(headers=headers, status=random.choice((self.status, 429, 503)))

    def _enlarged(self, mutator: Mutator) -> bytes:
        """The body, of which a part stands there so often that it has some megabytes."""
        random = mutator.random
        at, size = random.randrange(len(self.body) + 1), random.choice((1, 3, 20, 200, 600))
        part = self.body[at : at + size] or b" "
        most = random.choice((50_000, 2**20, 5 * 2**20)) - len(self.body)
        return self.body[:at] + part * (most // len(part)) + self.body[at:]

    def smaller(self) -> Iterator["Given"]:
        """Smaller answers, made of this one."""
        if self.headers:
            yield self._replace(headers={})
        for body in smaller_json(self.body):
            yield self._replace(body=body)


class GivenHttp:
    """Stands in for the transport: answers at once, with the token to those who ask for one.

    answer: to all else.
    token: to them.
    """

    # So short that it is no secret: to learn one takes longer than all else.
    TOKEN: Final = json.dumps({"access_token": "t", "expires_in": 3599}).encode()

    def __init__(self, answer: Answer | None = None, token: Answer | None = None) -> None:
        self.answer = answer or Answer(200, {}, b"")
        self._token = token or Answer(200, {}, self.TOKEN)

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        most: int = 65_536,
    ) -> Answer:
        """The answer, as of Http."""
        assert method
        assert headers
        answer = self._token if body and url.endswith("/Token") else self.answer
        if len(answer.body) > most:
            raise OversizeError(f"an answer of more than {most:,} bytes")
        return answer
