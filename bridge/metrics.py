"""The catalogue of metrics: every name once, with what it means."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bridge.completions import Completions
from bridge.delays import Delays
from bridge.output import logs
from bridge.output.standard_error import STANDARD_ERROR


class _LogLines(Collector):
    """The lines of the log that are missing in it; they are the process's."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Their numbers at present."""
        lost = CounterMetricFamily(
            "bridge_log_lines_left_out",
            "Lines missing in the log: not written in time, or too many at once",
            labels=["why"],
        )
        lost.add_metric(["dropped"], STANDARD_ERROR.dropped)
        lost.add_metric(["suppressed"], logs.left_out())
        yield lost


class Metrics:
    """Every metric, once. All names start with `bridge_`; sizes in bytes, times in seconds."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        # At any time: fetched = delivered + known + filtered + dead_lettered + in flight.
        self.events = self._counter("events", "Events by what became of them", "outcome")
        self.in_flight = self._gauge("events_in_flight", "Events read and not yet acknowledged")
        self.events_set_aside = self._gauge(
            "events_set_aside", "Events in flight that Segment fails on by themselves"
        )
        self.delivered = self._counter("events_delivered", "Events Segment accepted", "event")

        # Listrak
        self.listrak_calls = self._counter(
            "listrak_calls", "Calls to Listrak", "resource", "status"
        )
        self.listrak_rate = self._gauge(
            "listrak_pace", "Calls to Listrak a second that are made at most for now; 0 = no limit"
        )
        self.listrak_rows = self._counter("listrak_rows", "Rows read from Listrak", "resource")
        self.tracked = self._gauge("messages_tracked", "Messages whose activity is read", "list")
        self.counted = self._gauge(
            "listrak_counted",
            "What the Summaries of tracked messages count, since the start",
            "list",
            "event",
        )
        self.seen = self._gauge("seen", "The same as seen in their rows", "list", "event")
        self.sent = self._gauge("sent", "What of that was for Segment and sent", "list", "event")
        self.polls = self._counter("looks", "Completed polls of messages", "resource", "found")

        # Segment
        self.batches = self._counter("segment_batches", "Answers of Segment to batches", "answer")
        self.wire_bytes = self._counter("segment_sent_bytes", "Bytes sent to Segment, compressed")
        self.posts = self._gauge("segment_posts_open", "Batches on their way to Segment")

        self._of_contacts()
        self._of_pipeline()
        self.registry.register(_LogLines())

        # How fresh all is: until when each kind of reading is complete, how long events take.
        self.completions = Completions()
        self.registry.register(self.completions)
        self.delays = Delays()
        self.registry.register(self.delays)

    def _of_contacts(self) -> None:
        self.user_ids_withheld = self._gauge(
            "user_ids_withheld",
            "Contacts whose profile value stands for nobody, in the latest sweep",
            "list",
        )
        self.user_id_shared = self._gauge(
            "user_id_shared", "Contacts that share a userId: the most of the list", "list"
        )

    def _of_pipeline(self) -> None:
        self.retries = self._counter("retries", "Waits before another try", "api")
        self.queue = self._gauge("queue_pages", "Pages waiting in or for a queue", "queue")
        self.commits = self._counter("commits", "Transactions of the state file")
        self.restarts = self._counter("pipeline_restarts", "Restarts of the pipeline after a fault")
        self.tasks = self._counter("tasks", "Tasks that came to an end, done or not", "task")
        self.outstanding = self._gauge(
            "outstanding", "What is under way or waits, by where it is", "at"
        )
        self.dead_letters = self._gauge("dead_letters", "Dead letters kept in the state file")
        self.blocked = self._gauge("blocked", "1 while something keeps the bridge waiting", "by")
        self.throttled = self._gauge(
            "throttled", "What waits for a ceiling of the settings, or a server's word", "by"
        )
        self.degraded = self._gauge(
            "list_degraded", "1 for a list that can't be read at present", "list"
        )
        self.set_aside = self._gauge(
            "set_aside",
            "Parts of a list that can't be read and are set aside while the rest goes on",
            "list",
            "what",
        )
        self.last_commit = self._gauge(
            "last_commit_timestamp_seconds", "When progress was last saved"
        )
        self.last_progress = self._gauge(
            "last_progress_timestamp_seconds", "When anything was last read, sent or saved"
        )
        self.transaction = self._gauge(
            "transaction_seconds", "Time that the disk has taken for a transaction so far"
        )

    @staticmethod
    def by_resource(counter: Counter) -> dict[str, float]:
        """The numbers of a counter by the label `resource`, whatever its other labels are."""
        numbers: dict[str, float] = {}
        for sample in (one for metric in counter.collect() for one in metric.samples):
            if sample.name.endswith("_total"):
                resource = sample.labels["resource"]
                numbers[resource] = numbers.get(resource, 0.0) + sample.value
        return numbers

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"bridge_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"bridge_{name}", text, labels, registry=self.registry)
