"""Posts batches to Segment."""

from bridge.errors import TemporaryError
from bridge.metrics import Metrics
from bridge.segment import wire
from bridge.segment.wire import Verdict
from bridge.transport.http import Answer, Http


class Segment:
    """A client of Segment. One post, one answer; the sender decides what to do with it."""

    def __init__(self, http: Http, metrics: Metrics, *, base: str, write_key: str) -> None:
        self._http = http
        self._metrics = metrics
        self._url = f"{base}/batch"
        self._headers = wire.headers(write_key)

    async def post(self, body: bytes) -> tuple[Verdict, Answer]:
        """Posts a gzipped batch. Raises TemporaryError if it is to be posted again."""
        with self._metrics.posts.track_inprogress():
            try:
                answer = await self._http.request(
                    "POST", self._url, headers=self._headers, body=body
                )
            except TemporaryError:
                self._metrics.batches.labels("none").inc()
                raise
        self._metrics.batches.labels(str(answer.status)).inc()
        self._metrics.wire_bytes.inc(len(body))
        verdict = wire.verdict(answer)
        if verdict is Verdict.RETRY:
            busy = TemporaryError(f"Segment answered {answer.status}", answer.retry_after)
            busy.throttled = answer.status == 429
            raise busy
        if verdict is Verdict.FOREIGN:
            raise TemporaryError(
                f"{self._url} answered {answer.status}, and not as Segment does: the answer did "
                "not come from Segment, or doesn't say that the batch was accepted. Is there a "
                "proxy or a portal on the way, and is SEGMENT_API_URL right?"
            )
        return verdict, answer
