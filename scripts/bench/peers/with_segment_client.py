"""Segment's own Python client at the best settings that lose nothing.

A queue that holds everything (a full one drops events), the largest batches, four threads, gzip.

    python with_segment_client.py ADDRESS-OF-THE-SERVERS LIST-ID
"""

import hashlib
import sys
from datetime import datetime

from segment.analytics import Client

from bench.peers.account import Account, identity, shown
from bench.peers.eastern import instant


def main(address: str, list_id: str) -> None:
    """Everything once."""
    lost: list[object] = []
    client = Client(
        "bench",
        host=address,
        gzip=True,
        upload_size=1000,
        thread=4,
        max_queue_size=1_000_000,
        on_error=lambda error, batch: lost.append((error, batch)),
    )
    for properties, row in Account(address, list_id).rows():
        for event, when in shown(row):
            who = identity(event, properties, row).encode()
            client.track(
                anonymous_id=row["emailAddress"],
                event=event,
                properties=properties,
                context={"traits": {"email": row["emailAddress"]}},
                timestamp=datetime.fromisoformat(instant(when)),
                message_id=hashlib.blake2b(who, digest_size=16).hexdigest(),
            )
    client.shutdown()
    if lost:
        sys.exit(f"{len(lost)} batches were lost, the first to {lost[0]}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
