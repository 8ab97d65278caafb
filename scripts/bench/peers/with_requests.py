"""A plain script: requests and json, nothing remembered, nothing tried again.

python -m bench.peers.with_requests ADDRESS-OF-THE-SERVERS LIST-ID
"""

import gzip
import hashlib
import json
import sys

import requests

from bench.peers.account import Account, identity, shown, track

BATCH_EVENTS = 850  # about 475 KB


def main(address: str, list_id: str) -> None:
    """Everything once."""
    session = requests.Session()
    batch: list[dict[str, object]] = []

    def post() -> None:
        body = gzip.compress(json.dumps({"batch": batch}, separators=(",", ":")).encode(), 1)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        session.post(f"{address}/v1/batch", body, headers=headers, timeout=60).raise_for_status()
        batch.clear()

    for properties, row in Account(address, list_id).rows():
        for event, when in shown(row):
            who = identity(event, properties, row).encode()
            message_id = hashlib.blake2b(who, digest_size=16).hexdigest()
            batch.append({"messageId": message_id, **track(event, when, properties, row)})
            if len(batch) == BATCH_EVENTS:
                post()
    if batch:
        post()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
