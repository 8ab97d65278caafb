"""The command line: its commands."""

import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from bridge import NAME, VERSION
from bridge.ending.exits import Commands, complete, run_to_the_end
from bridge.environment.settings import DECLARATIONS, Settings, load, unknown
from bridge.errors import ConfigurationError
from bridge.output.logs import configure_logging, log

EPILOG = """\b
Settings come from the environment; `listrak-bridge settings` lists them.
Exit codes: 0 done, 64 usage, 78 configuration, 65 damaged or newer state file,
75 temporary failure (nothing is lost, run it again), 73 state file in use or not writable,
130 interrupted.
"""

ESTIMATED = frozenset(
    name
    for name in DECLARATIONS
    if name.startswith(("listrak_", "log_"))
    or name in ("since", "track_days", "events", "poll_interval", "poll_concurrency")
    or name == "events_per_second"
)
"""The settings that an estimate needs, besides the lists."""


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, prog_name=NAME)
def cli() -> None:
    """Brings every email event and list subscription of a Listrak account into Twilio Segment.

    \b
    A first run:
      listrak-bridge lists         what the account has, and which profile fields
      listrak-bridge estimate      calls, events and MTUs to expect; stores nothing
      listrak-bridge check         credentials, lists, state file, clock
      listrak-bridge preview       what would be sent; sends and stores nothing
      listrak-bridge run           the service itself
      listrak-bridge reconcile     Listrak's own numbers beside what arrived
      listrak-bridge backfill      older history, once the service is there
    No account at hand? `listrak-bridge sandbox` emulates both servers.
    """


@cli.command()
@click.option("--once", is_flag=True, help="Catch up with everything that exists now, then end.")
def run(once: bool) -> None:
    """Run the service, until SIGTERM or SIGINT; a stop lets what was read arrive.

    With --once: find everything that is new, deliver it, save that, and end with 0. If something
    could not be read or delivered it ends with 75; nothing is lost, the next run goes on.
    """
    settings = _settings()
    from bridge import service

    complete(lambda: service.run(settings, once=once))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def check(as_json: bool) -> None:
    """Check credentials, scopes, lists, profile fields, state file, machine and clock.

    Says as well what can't be checked: Segment answers a wrong write key like a right one.
    """
    settings = _settings()
    from bridge.commands.check import check_all

    sys.exit(complete(lambda: check_all(settings, as_json=as_json)))


@cli.command()
def lists() -> None:
    """Show the account's lists and their profile fields, as LISTRAK_LISTS takes them."""
    from bridge.commands.lists import show_lists

    names = frozenset(
        name for name in DECLARATIONS if name.startswith(("listrak_", "log_", "poll_concurrency"))
    )
    settings = _settings(only=names)
    try:
        configured = load(only=frozenset({"lists"})).lists
    except ConfigurationError:
        # This command is what a person finds the right ids with.
        configured = []
    complete(lambda: show_lists(settings, configured))


@cli.command()
@click.option("--limit", type=click.IntRange(0), help="Print so many events at most; count all.")
def preview(limit: int | None) -> None:
    """Print what `run --once` would send now, a JSON event a line; send and store nothing."""
    settings = _settings()
    from bridge.commands.preview import show_preview

    complete(lambda: show_preview(settings, limit))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def estimate(as_json: bool) -> None:
    """Estimate what the service will cost and bring, from the account itself.

    Calls, rows and events a day, the first synchronisation, what Segment will count, and how fresh
    events will be. Needs Listrak's credentials alone, and stores nothing; where LISTRAK_LISTS isn't
    set, it is for all lists of the account.
    """
    from bridge.commands.estimate import estimate as run_estimate

    settings = _settings(only=ESTIMATED)
    are_set = os.environ.get(DECLARATIONS["lists"].variable, "").strip()
    lists = load(only=frozenset({"lists"})).lists if are_set else None
    complete(lambda: run_estimate(settings, lists, for_programs=as_json))


@cli.command()
@click.option("--list", "only_list", type=int, metavar="ID", help="Only this list.")
@click.option("--all", "everything", is_flag=True, help="What agrees as well.")
@click.option("--repair", is_flag=True, help="Read again what differs for no known reason.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def reconcile(only_list: int | None, everything: bool, repair: bool, as_json: bool) -> None:
    """Show Listrak's own numbers of every tracked message beside what was seen and sent.

    Names what it did not compare as well. Asks for one Summary a message, beside a running service
    or without it. What --repair asks for is done by the service, running or at its next start;
    nothing is sent twice.
    """
    settings = _settings()
    from bridge.commands.reconcile import reconcile as run_reconcile

    complete(
        lambda: run_reconcile(
            settings,
            only_list=only_list,
            everything=everything,
            repair=repair,
            as_json=as_json,
        )
    )


@cli.command()
@click.option("--since", metavar="WHEN", help="An ISO date-time, or such as 90d.")
@click.option("--list", "only_list", type=int, metavar="ID", help="Only this list.")
@click.option("--events", is_flag=True, help="What was not in BRIDGE_EVENTS, and is now.")
@click.option("--warehouse-only", is_flag=True, help="For warehouses, not for destinations.")
@click.option("--json", "as_json", is_flag=True, help="What came of it, for programs.")
def backfill(
    since: str | None, only_list: int | None, events: bool, warehouse_only: bool, as_json: bool
) -> None:
    """Send history from before a list's start horizon; with --events, what was withheld since.

    The running service does it, at low priority; where none runs, this command does it by itself.
    Interrupted, it goes on where it was. Nothing is sent twice.
    """
    if since is None and not events:
        raise click.UsageError("it needs --since WHEN, or --events")
    settings = _settings()
    from bridge.commands.backfill import backfill as run_backfill
    from bridge.commands.backfill import wish_of

    complete(
        lambda: run_backfill(
            settings,
            wish_of(settings, since, events=events, warehouse_only=warehouse_only),
            only_list=only_list,
            as_json=as_json,
        )
    )


@cli.command()
@click.option("--all", "everything", is_flag=True, help="All contacts, changed or not.")
@click.option("--list", "only_list", type=int, metavar="ID", help="Only this list.")
def identify(everything: bool, only_list: int | None) -> None:
    """Tell all contacts again, for another write key or another source.

    The running service does it, at low priority; where none runs, this command does it by itself.
    Interrupted, it goes on where it was. Every contact counts as one more event.
    """
    if not everything:
        raise click.UsageError("it needs --all; changed contacts are told by the service itself")
    settings = _settings()
    from bridge.commands.identify import identify_all

    complete(lambda: identify_all(settings, only_list=only_list))


@cli.command()
@click.argument("subject", metavar="ADDRESS|MESSAGEID")
@click.option("--list", "only_list", type=int, metavar="ID", help="Only this list of a person.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def explain(subject: str, only_list: int | None, as_json: bool) -> None:
    """Show what Listrak shows of a person now, which events follow, and what became of each.

    MESSAGEID: the number of an email in Listrak, or an event's messageId (listrak-...). Reads only,
    beside a running service or without it; of conversation messages all rows are read.
    """
    settings = _settings()
    from bridge.commands.explain import explain as run_explain
    from bridge.commands.explain import is_explicable

    subject = subject.strip()
    if not is_explicable(subject):
        raise click.UsageError(
            "that is neither an email address, nor the number of an email, nor a messageId "
            "(listrak-... with 32 digits)"
        )
    complete(lambda: run_explain(settings, subject, only_list=only_list, as_json=as_json))


@cli.command()
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def erase(address: str, as_json: bool) -> None:
    """Erase all that the state file keeps of an email address, in whatever case.

    The running service does it; where none runs, this command does it by itself. What Listrak and
    Segment have stays there: delete it in Listrak first, or it comes back at the next reading.
    """
    address = _address(address)
    settings = _settings(only=frozenset({"state", "log_level", "log_format"}))
    from bridge.commands.erase import erase as run_erase

    complete(lambda: run_erase(settings.state, address, as_json=as_json))


@cli.group("dead-letters")
def dead_letters() -> None:
    """Look into events that can't be sent, each kept with the reason."""


@dead_letters.command("list")
def list_dead_letters() -> None:
    """List the dead letters; works beside a running service."""
    from bridge.commands.dead_letters import show_dead_letters

    settings = _settings(only=frozenset({"state", "log_level", "log_format"}))
    complete(lambda: show_dead_letters(settings.state))


@cli.group("state")
def state() -> None:
    """Look after the state file."""


@state.command("verify")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify_state(as_json: bool) -> None:
    """Look at every row of the state file: whether all of it is as it was written.

    Beside a running service or without it; nothing is changed. Ends with 65 where it is damaged.
    """
    from bridge.commands.state import verify_state as run_verify

    settings = _settings(only=frozenset({"state", "log_level", "log_format"}))
    complete(lambda: run_verify(settings.state, as_json=as_json))


@cli.command()
def settings() -> None:
    """List the environment variables: name, default, meaning."""
    from bridge.commands.settings import show_settings

    show_settings()


@cli.command()
@click.option("--listrak-port", default=8401, show_default=True, type=click.IntRange(0, 65535))
@click.option("--segment-port", default=8402, show_default=True, type=click.IntRange(0, 65535))
@click.option("--seed", default=1, show_default=True, help="The same seed, the same world.")
@click.option("--contacts", default=200, show_default=True, help="Contacts of each list.")
@click.option("--lists", default=2, show_default=True, help="Lists of the account.")
@click.option(
    "--history",
    default=3.0,
    show_default=True,
    callback=lambda _context, _option, days: timedelta(days=days),
    help="Days that have passed before.",
)
@click.option("--speed", default=60.0, show_default=True, help="The world's seconds in a second.")
@click.option(
    "--received",
    default="sandbox-segment.db",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file (SQLite) that keeps what Segment received.",
)
@click.option("--switches", default="", help="Undocumented behaviour: activity_type=filters,...")
@click.option(
    "--listrak-fault",
    "listrak_faults",
    multiple=True,
    help="Such as status:503,times=3,path=Activity.",
)
@click.option(
    "--segment-fault", "segment_faults", multiple=True, help="Such as latency:2,probability=0.1."
)
@click.option("--faults", "show_faults", is_flag=True, help="List the faults by name, and end.")
def sandbox(*, show_faults: bool, **options: Any) -> None:
    """Emulate Listrak and Segment on loopback, over a seeded retailer that goes on living.

    Prints the environment that leads a bridge to them; at the end, or at /_sandbox/verdict, it
    judges what Segment received against what happened. Its clock runs fast (--speed).
    """
    from bridge.commands.sandbox import FAULTS, Plan, run_sandbox
    from bridge.commands.terminal import terminal

    if show_faults:
        terminal().print(FAULTS, end="")
        return
    plan = Plan(**options)
    complete(lambda: run_sandbox(plan))


def start() -> None:
    """Runs the command line and ends the process with the exit code of the contract."""
    run_to_the_end(cli)


def _address(text: str) -> str:
    """An email address as it was given, without blanks around it. Raises UsageError."""
    if "@" not in text.strip("@ \t"):
        raise click.UsageError("that is no email address: it needs an @")
    return text.strip()


def _settings(only: frozenset[str] | None = None) -> Any:
    """Loads the settings (those named by `only`, None for all) and sets up logging by them."""
    loaded: Settings = load(only=only)
    configure_logging(level=loaded.log_level, style=loaded.log_format)
    for variable in unknown():
        log.warning("setting.unknown", variable=variable)
    return loaded
