"""Bodies and texts that nobody expects, for every resource: typed errors only, and texts as they
are."""

import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from bridge.listrak import lenient, shapes, wire
from bridge.listrak.shapes import Answer, Shape

SHAPES: dict[str, Shape[Any]] = {
    name: shape for name, shape in vars(shapes).items() if isinstance(shape, Shape)
}
VALUES = [
    *("null", "true", "false", "0", "-0", "-1", "1e400", "-1e400", "1.5", "1E2", "NaN", "Infinity"),
    *("-Infinity", "9223372036854775808", "18446744073709551616", "9" * 5000, "0.1e-400"),
    *(
        '""',
        '"\\u0000"',
        '"\\ud83d"',
        '"\\ud83d\\ude00"',
        '"\\uDC00\\uD83D"',
        '"' + "x" * 100_000 + '"',
    ),
    *('"2026-13-45T99:99:99"', '"9999-12-31T23:59:59.9999999"', '"0001-01-01T00:00:00"', '"12"'),
    *("[]", "{}", "[[]]", '{"":{}}', "[null]", '{"a":1,"a":2}', "[" * 60 + "]" * 60),
    *(
        "[" * 300 + "]" * 300,
        "tru",
        "nul",
        "1.",
        ".5",
        "+1",
        "01",
        "0x1",
        "'x'",
        '"',
        '"\\x"',
        "\x01",
    ),
    *('"\t"', "[1,]", '{"a":1,}', "{'a':1}", "//", "\xff", '"\xff"', "\ufeff1", ""),
]


def bodies(shape: Shape[Any]) -> Iterator[bytes]:
    """Answers with each value in each place."""
    fields = [field.encode_name for field in msgspec.structs.fields(shape._row)]
    for value in VALUES:
        for name in (*fields, "unknown"):
            row = f'{{"{name}":{value}}}'
            data = f'[{row},{{"{name}":1}}]' if shape._is_list else row
            yield f'{{"data":{data},"nextPageCursor":null}}'.encode()
        for whole in (value, f'{{"data":{value}}}', f'{{"data":[{value},{value}]}}'):
            yield whole.encode()
        yield f'{{"data":[],"nextPageCursor":{value},"status":{value}}}'.encode()
        yield f'{{"data":[{{}}],"x":{value}}}'.encode("latin-1", "replace")


@pytest.mark.parametrize("name", SHAPES)
def test_an_answer_or_a_typed_error(name: str) -> None:
    """Whatever comes: what is read can be kept and sent, and what can't is told in a line."""
    shape, read = SHAPES[name], 0
    for body in bodies(shape):
        try:
            answer = shape.decode(body)
        except wire.UNREADABLE:
            continue
        read += 1
        assert isinstance(answer, Answer)
        text = msgspec.json.encode(answer.envelope.data).decode()
        assert "\\u0000" not in text
        for unread in answer.unread:
            assert unread.reason
            assert len(unread.reason) < 120 * len(unread.fields)
            assert "\n" not in unread.reason
            json.loads(lenient.encoded(unread.raw))
    assert read > len(VALUES)


NAUGHTY = [
    *("", " ", "\t\r\n", "null", "undefined", "NaN", "0", "-1", "true", "[bold]x[/bold]", "[/b]"),
    *(
        "Robert'); DROP TABLE contacts;--",
        '"quoted"',
        "back\\slash",
        "</script><b>",
        "{{7*7}}",
        "%s%n",
    ),
    *(
        "Zoë Grüße",
        "名前",
        "العربية",
        "\u202eright to left",
        "zero\u200bwidth",
        "👩‍👩‍👧‍👦 🎉",
        "e\u0301",
    ),
    *("\ufeffBOM", "\ufffe\uffff", "\x1b[31mred", "\x7f\x85\u2028", "😀" * 50, "x" * 100_000),
]


@pytest.mark.parametrize("name", SHAPES)
def test_texts_pass_as_they_are(name: str) -> None:
    """Byte for byte, in every text of every resource, also beside a row that can't be read."""
    shape = SHAPES[name]
    texts = [
        field for field in msgspec.structs.fields(shape._row) if field.type in (str, str | None)
    ]
    needed = {
        field.encode_name: 1 for field in msgspec.structs.fields(shape._row) if field.required
    }
    for text in NAUGHTY:
        row = {**needed, **{field.encode_name: text for field in texts}}
        for more in ([], [None], [{**row, "unknown": "\0"}]):
            data: Any = [row, *more] if shape._is_list else row
            found = shape.decode(json.dumps({"data": data}).encode()).envelope.data
            first = found[0] if shape._is_list else found
            assert {getattr(first, field.name) for field in texts} <= {text}
    dirty = random.Random(5).choices(["a", "\0", "\ud83d", "\ude00", "é"], k=2000)
    clean = lenient.carried("".join(dirty))
    assert "\0" not in clean
    assert clean.encode().decode() == clean
    assert lenient.carried(clean) == clean
