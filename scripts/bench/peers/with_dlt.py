"""dlt: a resource of rows and a custom destination that posts each batch with requests.

python -m bench.peers.with_dlt ADDRESS-OF-THE-SERVERS LIST-ID
"""

import gzip
import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import dlt
import requests

from bench.peers.account import Account, identity, shown, track

BATCH_EVENTS = 850  # about 475 KB
PAGE_EVENTS = 5000


def main(address: str, list_id: str) -> None:
    """Everything once."""
    session = requests.Session()

    def events() -> Iterator[list[dict[str, Any]]]:
        page: list[dict[str, Any]] = []
        for properties, row in Account(address, list_id).rows():
            for event, when in shown(row):
                who = identity(event, properties, row).encode()
                message_id = hashlib.blake2b(who, digest_size=16).hexdigest()
                found = {"messageId": message_id, **track(event, when, properties, row)}
                # As text: dlt would spread a nested event over columns, and rename its fields.
                page.append({"event": json.dumps(found, separators=(",", ":"))})
            if len(page) >= PAGE_EVENTS:
                yield page
                page = []
        yield page

    def post(items: list[dict[str, str]], _table: Any) -> None:
        body = gzip.compress(
            b'{"batch":[' + ",".join(item["event"] for item in items).encode() + b"]}", 1
        )
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        session.post(f"{address}/v1/batch", body, headers=headers, timeout=60).raise_for_status()

    resource = dlt.resource(events, name="events", columns={"event": {"data_type": "text"}})
    segment = dlt.destination(post, name="segment", batch_size=BATCH_EVENTS)
    dlt.pipeline("bench", destination=segment, pipelines_dir="dlt").run(resource)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
