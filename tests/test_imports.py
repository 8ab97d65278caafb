"""The import directions: the package reads from its foundations up to the command line."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridge

ROOT = Path(bridge.__file__).parent

# Reading order: a module imports only from lines above its own (modules that share a line don't
# import each other). A name stands for itself or, with a dot and a star, for all below it.
LAYERS = [
    ["bridge"],
    ["bridge.errors", "bridge.vocabulary", "bridge.clock", "bridge.systemd"],
    ["bridge.values"],
    ["bridge.settings", "bridge.telemetry", "bridge.pacing", "bridge.http", "bridge.spool"],
    # The state file knows neither server.
    ["bridge.state"],
    ["bridge.state.records", "bridge.state.keys", "bridge.state.database"],
    [
        "bridge.state.messages",
        "bridge.state.looks",
        "bridge.state.backfills",
        "bridge.state.event_counts",
        "bridge.state.contacts",
        "bridge.state.unsubscribes",
        "bridge.state.outbox",
    ],
    ["bridge.state.store"],
    # Each server: its wire format without I/O, then who asks.
    ["bridge.listrak"],
    ["bridge.listrak.times", "bridge.listrak.wire"],
    ["bridge.listrak.auth"],
    ["bridge.listrak.client"],
    ["bridge.segment"],
    ["bridge.segment.events", "bridge.segment.wire"],
    ["bridge.segment.client"],
    # The way of the data: what travels, what decides, who acts.
    ["bridge.flow"],
    [
        "bridge.flow.source",
        "bridge.flow.slots",
        "bridge.flow.scheduler",
        "bridge.flow.reconciliation",
        "bridge.flow.scans",
    ],
    ["bridge.flow.scans.step"],
    ["bridge.flow.scans.trust", "bridge.flow.scans.watch"],
    ["bridge.flow.scans.case"],
    ["bridge.flow.scans.plan", "bridge.flow.scans.outcome", "bridge.flow.scans.doubt"],
    ["bridge.flow.scans.survey"],
    ["bridge.flow.look"],
    ["bridge.flow.page"],
    ["bridge.flow.progress"],
    ["bridge.flow.batch", "bridge.flow.rules"],
    ["bridge.flow.rules.draft"],
    ["bridge.flow.rules.totals"],
    ["bridge.flow.rules.activity", "bridge.flow.rules.contacts"],
    ["bridge.flow.ledger"],
    ["bridge.flow.readers.restart"],
    [
        "bridge.flow.readers.discovery",
        "bridge.flow.readers.rows",
        "bridge.flow.readers.contacts",
        "bridge.flow.readers.held",
    ],
    ["bridge.flow.readers.messages", "bridge.flow.readers.history"],
    ["bridge.flow.readers"],
    ["bridge.flow.requests"],
    ["bridge.flow.poller", "bridge.flow.catch_up", "bridge.flow.mapper", "bridge.flow.sender"],
    ["bridge.flow.pipeline"],
    ["bridge.status", "bridge.supervisor"],
    ["bridge.service"],
    ["bridge.commands"],
    ["bridge.commands.terminal"],
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


def imported(module: str) -> Iterator[str]:
    """All modules that a module imports, anywhere in it, by full name."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8"))):
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


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        hidden = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not hidden:
            yield node
            yield from _nodes(node)


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
    for other in set(imported(module)):
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
            for other in sorted(set(imported(module))):
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
            assert known <= {"bridge.listrak.wire"}
        if module.startswith("bridge.listrak"):
            assert not [name for name in imported(module) if name.startswith("bridge.segment")]


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        # The client stands in one place; the others serve (test_servers_only_serve).
        ("aiohttp", {"bridge.http", "bridge.status", "bridge.commands.sandbox"}),
        ("yarl", {"bridge.http"}),
        ("aiosqlite", {"bridge.state.database"}),
        # check tells its version, preview copies the file.
        (
            "sqlite3",
            {"bridge.state.database", "bridge.commands.check", "bridge.commands.preview"},
        ),
        ("numpy", {"bridge.state.keys"}),
        ("tenacity", {"bridge.pacing"}),
        ("aiolimiter", {"bridge.pacing"}),
        ("prometheus_client", {"bridge.telemetry", "bridge.status"}),
        ("structlog", {"bridge.telemetry"}),
        ("xxhash", {"bridge.segment.events"}),
    ],
)
def test_one_place_for_a_library(library: str, allowed: set[str]) -> None:
    """A library's exceptions and types end where it is used: in one module, or a few by name."""
    users = {
        module for module in OURS if any(name.split(".")[0] == library for name in imported(module))
    }
    assert users <= allowed


@pytest.mark.parametrize("module", ["bridge.status", "bridge.commands.sandbox"])
def test_servers_only_serve(module: str) -> None:
    """Outside bridge.http nobody makes an HTTP client: of aiohttp only its server is used."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    taken = [
        {alias.name for alias in node.names}
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "aiohttp"
    ]
    assert taken == [{"web"}]


def test_who_reads_settings() -> None:
    """Settings are read at the composition root and by the commands; the rest takes arguments."""
    allowed = {"bridge.service", "bridge.cli", "bridge.status", "bridge.flow.source"}
    for module in OURS:
        if "bridge.settings" in imported(module):
            assert module in allowed or module.startswith("bridge.commands.")
