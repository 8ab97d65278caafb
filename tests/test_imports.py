"""The import directions: the package reads from its foundations up to the command line."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parent

# Reading order: a module imports only from lines above its own (modules that share a line don't
# import each other). A name stands for itself or, with a dot and a star, for all below it.
LAYERS = [
    ["bridge"],
    # The rooms of the foundations; where each of their modules stands follows from what it imports.
    ["bridge.output", "bridge.ending", "bridge.environment", "bridge.transport"],
    ["bridge.supervision"],
    ["bridge.output.redaction"],
    ["bridge.output.texts"],
    ["bridge.source_time"],
    [
        "bridge.errors",
        "bridge.event_types",
        "bridge.clock",
        "bridge.supervision.systemd",
        "bridge.compression",
        "bridge.output.log_bound",
    ],
    ["bridge.ending.stopping", "bridge.transport.priority", "bridge.output.standard_error"],
    ["bridge.output.logs"],
    ["bridge.completions", "bridge.delays"],
    ["bridge.metrics", "bridge.ending.hard_end"],
    [
        "bridge.environment.values",
        "bridge.environment.secret_files",
        "bridge.transport.retry",
        "bridge.spool",
        "bridge.ending.signals",
    ],
    ["bridge.transport.http", "bridge.environment.settings", "bridge.transport.rate"],
    # The state file knows neither server.
    ["bridge.state"],
    [
        "bridge.state.file_mark",
        "bridge.state.place",
        "bridge.state.trace",
        "bridge.state.checksums",
    ],
    ["bridge.state.file_format"],
    ["bridge.state.lock"],
    ["bridge.state.keys", "bridge.state.cursors"],
    ["bridge.state.meanings"],
    ["bridge.state.verification"],
    ["bridge.state.inspection", "bridge.state.presence"],
    ["bridge.state.database"],
    ["bridge.state.opening"],
    ["bridge.state.records"],
    ["bridge.state.contacts"],
    [
        "bridge.state.meta",
        "bridge.state.counters",
        "bridge.state.lists",
        "bridge.state.messages",
        "bridge.state.polls",
        "bridge.state.seen_events",
        "bridge.state.event_counts",
        "bridge.state.contact_polls",
        "bridge.state.unsubscribes",
        "bridge.state.outbox",
        "bridge.state.dead_letters",
        "bridge.state.backfills",
        "bridge.state.identify_runs",
        "bridge.state.erasures",
        "bridge.state.reversals",
        "bridge.state.future_times",
        "bridge.state.set_aside",
    ],
    ["bridge.state.store"],
    # Each server: its wire format without I/O, then who calls it.
    ["bridge.listrak"],
    ["bridge.listrak.times", "bridge.listrak.wire", "bridge.listrak.requests"],
    ["bridge.listrak.origin"],
    ["bridge.listrak.pages"],
    ["bridge.listrak.lenient"],
    ["bridge.listrak.shapes", "bridge.listrak.refusals"],
    ["bridge.listrak.auth"],
    ["bridge.listrak.paging", "bridge.listrak.answers"],
    ["bridge.listrak.calls"],
    ["bridge.listrak.client"],
    ["bridge.segment"],
    ["bridge.segment.events", "bridge.segment.wire"],
    ["bridge.segment.client"],
    ["bridge.clients"],
    # The way out and back. First what is decided purely: when, what, and why numbers differ.
    ["bridge.flow"],
    [
        "bridge.flow.source",
        "bridge.flow.figures",
        "bridge.flow.buckets",
        "bridge.flow.configuration",
    ],
    ["bridge.flow.reconciliation", "bridge.flow.summary_metrics", "bridge.flow.limits"],
    ["bridge.flow.scheduling"],
    [
        "bridge.flow.scheduling.schedule",
        "bridge.flow.scheduling.budget",
        "bridge.flow.scheduling.due_queue",
        "bridge.flow.scheduling.backlog",
        "bridge.flow.scheduling.slots",
    ],
    ["bridge.flow.planner"],
    ["bridge.flow.planner.scan_types"],
    ["bridge.flow.planner.watermarks", "bridge.flow.planner.filter_support"],
    ["bridge.flow.planner.snapshot", "bridge.flow.planner.filter_check"],
    ["bridge.flow.planner.spans"],
    ["bridge.flow.planner.plan"],
    ["bridge.flow.planner.evaluation"],
    ["bridge.flow.mapping"],
    ["bridge.flow.mapping.user_ids", "bridge.flow.mapping.twins"],
    # What travels.
    [
        "bridge.flow.ordered_acks",
        "bridge.flow.in_flight",
        "bridge.flow.page_failure",
        "bridge.flow.delivery",
        "bridge.flow.channel",
    ],
    ["bridge.flow.message_poll"],
    ["bridge.flow.page"],
    # How a page becomes events.
    ["bridge.flow.mapping.event_dates", "bridge.flow.mapping.dated_events"],
    ["bridge.flow.mapping.mapped_page", "bridge.flow.mapping.unread"],
    ["bridge.flow.mapping.contact_row"],
    ["bridge.flow.mapping.page_mapping", "bridge.flow.mapping.contacts"],
    ["bridge.flow.mapping.row_instants"],
    ["bridge.flow.mapping.totals"],
    ["bridge.flow.mapping.activity"],
    # The way back.
    ["bridge.flow.interruptions"],
    ["bridge.flow.ledger"],
    ["bridge.flow.set_aside"],
    ["bridge.flow.message_cache", "bridge.flow.findings", "bridge.flow.saved_completions"],
    ["bridge.flow.findings.finding"],
    ["bridge.flow.findings.contact_findings", "bridge.flow.findings.row_findings"],
    ["bridge.flow.acks"],
    [
        "bridge.flow.acks.outcomes",
        "bridge.flow.acks.outbox_pages",
        "bridge.flow.acks.key_runs",
        "bridge.flow.acks.poll_ends",
    ],
    ["bridge.flow.acks.checkpoint", "bridge.flow.acks.journal"],
    ["bridge.flow.acks.page_acks"],
    ["bridge.flow.unreadable"],
    # Who acts.
    ["bridge.flow.sending"],
    ["bridge.flow.sending.batch"],
    ["bridge.flow.sending.unacked", "bridge.flow.sending.waits"],
    ["bridge.flow.sending.sender"],
    ["bridge.flow.user_id_alarm"],
    ["bridge.flow.mapper"],
    ["bridge.flow.context"],
    [
        "bridge.flow.readers.restart",
        "bridge.flow.readers.polling",
        "bridge.flow.readers.click_tally",
        "bridge.flow.readers.beside",
        "bridge.flow.readers.names",
        "bridge.flow.readers.contact_readings",
        "bridge.flow.readers.departures",
        "bridge.flow.readers.listings",
    ],
    ["bridge.flow.readers.properties", "bridge.flow.readers.person"],
    ["bridge.flow.readers.clicks"],
    [
        "bridge.flow.readers.discovery",
        "bridge.flow.readers.rows",
        "bridge.flow.readers.contacts",
        "bridge.flow.readers.identify",
        "bridge.flow.readers.unsubscribes",
        "bridge.flow.readers.outbox",
    ],
    ["bridge.flow.readers.messages"],
    ["bridge.flow.readers.backfill"],
    ["bridge.flow.readers"],
    ["bridge.flow.forecast"],
    ["bridge.flow.forecast.spread"],
    ["bridge.flow.forecast.figures"],
    ["bridge.flow.forecast.synthetic", "bridge.flow.forecast.usual"],
    ["bridge.flow.forecast.life"],
    ["bridge.flow.forecast.freshness", "bridge.flow.forecast.first_sync"],
    ["bridge.flow.forecast.steady", "bridge.flow.forecast.billing"],
    ["bridge.flow.forecast.forecast"],
    ["bridge.flow.requests"],
    ["bridge.flow.poller", "bridge.flow.catch_up"],
    ["bridge.flow.pipeline", "bridge.flow.eraser"],
    [
        "bridge.flow.time_keeper",
        "bridge.flow.reconfiguration",
        "bridge.flow.reversal",
        "bridge.present",
        "bridge.supervision.list_watch",
    ],
    ["bridge.supervision.health", "bridge.supervision.supervisor", "bridge.supervision.progress"],
    ["bridge.supervision.lifecycle"],
    ["bridge.ending.exits"],
    ["bridge.supervision.status_server"],
    ["bridge.supervision.status_port"],
    ["bridge.service"],
    ["bridge.commands"],
    [
        "bridge.commands.contact_count",
        "bridge.commands.terminal",
        "bridge.commands.requirements",
        "bridge.commands.comparison",
    ],
    [
        "bridge.commands.progress",
        "bridge.commands.readable",
        "bridge.commands.status_port",
        "bridge.commands.surroundings",
        "bridge.commands.errand",
        "bridge.commands.consequences",
        "bridge.commands.limits",
        "bridge.commands.state_age",
    ],
    ["bridge.commands.estimation"],
    ["bridge.commands.estimation.asking"],
    [
        "bridge.commands.estimation.contacts",
        "bridge.commands.estimation.emails",
        "bridge.commands.estimation.messages",
    ],
    ["bridge.commands.estimation.behaviour"],
    ["bridge.commands.estimation.account", "bridge.commands.estimation.shown"],
    ["bridge.commands.explanation"],
    ["bridge.commands.explanation.person", "bridge.commands.explanation.contact_ids"],
    ["bridge.commands.explanation.message_ids"],
    ["bridge.commands.*"],
    ["bridge.cli"],
    ["bridge.__main__"],
]


def name_of(path: Path) -> str:
    parts = ("bridge", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
SANDBOX = {name for name in MODULES if name.startswith("bridge.sandbox")}
OURS = sorted(set(MODULES) - SANDBOX)


@cache
def imported(module: str) -> frozenset[str]:
    """All modules that a module imports, anywhere in it and for whatever use, by full name."""
    return frozenset(_imported(module))


def _imported(module: str) -> Iterator[str]:
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in MODULES else base


def layer_of(module: str) -> int:
    """The line on which a module stands."""
    for number, layer in enumerate(LAYERS):
        for name in layer:
            below = name.endswith(".*") and module.startswith(name[:-1])
            if module == name or below:
                return number
    raise AssertionError(f"{module} stands in no layer: where does it belong?")


@pytest.mark.parametrize("module", OURS)
def test_one_direction(module: str) -> None:
    """A module imports only from the layers above its own, so there are no cycles either."""
    own = layer_of(module)
    for other in imported(module):
        if other in MODULES and other != module and other not in SANDBOX:
            assert layer_of(other) < own, f"{module} imports {other}"


def test_the_order_names_what_there_is() -> None:
    """Each line of the order is about a module that exists."""
    for layer in LAYERS:
        for name in layer:
            assert name in MODULES or name.endswith(".*"), name


def test_no_cycles() -> None:
    """No module imports itself through others, the emulators' modules included."""
    finished: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in finished:
            for other in sorted(imported(module)):
                if other in MODULES and other != module:
                    visit(other, (*path, module))
            finished.add(module)

    for module in MODULES:
        visit(module, ())


@pytest.mark.parametrize("module", sorted(SANDBOX))
def test_emulators_stand_alone(module: str) -> None:
    """The emulators import nothing of the bridge: a shared misreading would pass every test."""
    ours = {name for name in imported(module) if name.split(".")[0] == "bridge"}
    assert ours <= SANDBOX


def test_who_imports_the_emulators() -> None:
    """Only the command line does: the service has no part in them."""
    users = {module for module in OURS if SANDBOX.intersection(imported(module))}
    assert all(name == "bridge.cli" or name.startswith("bridge.commands.") for name in users)


def test_segment_and_listrak() -> None:
    """All that Segment's side knows of Listrak's is where an activity came from."""
    for module in OURS:
        if module.startswith("bridge.segment"):
            known = {name for name in imported(module) if name.startswith("bridge.listrak")}
            assert known <= {"bridge.listrak.origin"}
        if module.startswith("bridge.listrak"):
            assert not [name for name in imported(module) if name.startswith("bridge.segment")]


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        # The client stands in one place; the others serve (test_servers_only_serve).
        (
            "aiohttp",
            {
                "bridge.transport.http",
                "bridge.supervision.status_server",
                "bridge.commands.sandbox",
            },
        ),
        ("yarl", {"bridge.transport.http"}),
        ("aiosqlite", {"bridge.state.database", "bridge.state.opening"}),
        # check tells its version, preview copies the file; a file is made, and looked at, before it
        # is opened.
        (
            "sqlite3",
            {
                "bridge.state.checksums",
                "bridge.state.file_format",
                "bridge.state.meanings",
                "bridge.state.verification",
                "bridge.state.inspection",
                "bridge.state.database",
                "bridge.state.opening",
                "bridge.commands.check",
                "bridge.commands.preview",
            },
        ),
        (
            "numpy",
            {
                "bridge.state.keys",
                "bridge.state.file_mark",
                "bridge.delays",
                # Numbers drawn by the thousand.
                "bridge.commands.estimation.behaviour",
                "bridge.flow.forecast.freshness",
                "bridge.flow.forecast.life",
                "bridge.flow.forecast.spread",
                "bridge.flow.forecast.steady",
                "bridge.flow.forecast.synthetic",
            },
        ),
        ("tenacity", {"bridge.transport.retry"}),
        ("aiolimiter", {"bridge.transport.rate"}),
        (
            "prometheus_client",
            {
                "bridge.metrics",
                "bridge.completions",
                "bridge.delays",
                "bridge.supervision.progress",
                "bridge.supervision.status_server",
            },
        ),
        ("structlog", {"bridge.output.logs"}),
        ("isal", {"bridge.compression"}),
        ("xxhash", {"bridge.segment.events"}),
    ],
)
def test_one_place_for_a_library(library: str, allowed: set[str]) -> None:
    """A library's exceptions and types end where it is used: in one module, or a few by name."""
    users = {
        module for module in OURS if any(name.split(".")[0] == library for name in imported(module))
    }
    assert users <= allowed


@pytest.mark.parametrize("module", ["bridge.supervision.status_server", "bridge.commands.sandbox"])
def test_servers_only_serve(module: str) -> None:
    """Only bridge.transport.http makes an HTTP client: of aiohttp others use its server alone."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    taken = [
        {alias.name for alias in node.names}
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "aiohttp"
    ]
    assert taken == [{"web"}]


def test_who_reads_settings() -> None:
    """Settings are read at the composition root and by the commands; the rest takes arguments."""
    allowed = {"bridge.service", "bridge.present", "bridge.clients", "bridge.cli"}
    for module in OURS:
        if "bridge.environment.settings" in imported(module):
            assert module in allowed or module.startswith("bridge.commands.")
