"""Posts batches to Segment."""

from bridge.errors import TemporaryError
from bridge.http import Answer, Http
from bridge.segment import wire
from bridge.segment.wire import Verdict
from bridge.telemetry import Metrics


class Segment:
    """The sink. One post, one answer; what to do with it is the sender's business."""

    def __init__(self, http: Http, metrics: Metrics, *, base: str, write_key: str) -> None:
        self._http = http
        self._metrics = metrics
        self._url = f"{base}/batch"
        self._headers = wire.headers(write_key)

    async def post(self, body: bytes) -> tuple[Verdict, Answer]:
        """Posts a gzipped batch. Raises TemporaryError where it is to be posted again."""
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
        found = wire.verdict(answer)
        if found is Verdict.RETRY:
            raise TemporaryError(f"Segment answered {answer.status}", answer.retry_after)
        return found, answer
