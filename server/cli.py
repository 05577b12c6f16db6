"""The `tollgate` command: what it can do, and how errors look. The work is in the modules that each command imports for itself.

Nothing but the command-line library is imported here, so that `tollgate --help` answers at once.
"""

import gc
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from typer.exceptions import TyperException

from server.config_errors import OperatorError

if TYPE_CHECKING:
    from server.config import Settings

Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help="The configuration file.")]
Demo = Annotated[bool, typer.Option("--demo", help="Use the demo: simulator provider, embedded database, own key.")]
State = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where the demo keeps its key and database.")]

STARTING_THRESHOLD: Final = 200_000
"""New objects between two collections while a server starts: what a start makes stays, so that looking for garbage in it again
and again would be a tenth of it. Once the app stands it sets its own (`server.app`)."""

app = typer.Typer(
    name="tollgate",
    help="A JSON-RPC 2.0 AI backend that earns money.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Refused(OperatorError):
    """The command cannot be carried out as it was given."""


def main() -> None:
    """Run the command line. Exit 2 with one line on stderr for what the operator can correct."""
    try:
        code = app(args=sys.argv[1:] or ["--help"], prog_name="tollgate", standalone_mode=False)
    except TyperException as wrong:
        _end(wrong.format_message())
    except OperatorError as wrong:
        _end(str(wrong))
    sys.exit(code if isinstance(code, int) else 0)


def _end(message: str) -> NoReturn:
    sys.stderr.write(f"tollgate: {message}\n")
    sys.exit(2)


@app.command()
def serve(
    config: Config = None,
    *,
    demo: Demo = False,
    state: State = None,
    host: Annotated[str | None, typer.Option(help="Listen here instead of server.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Listen here instead of server.port.")] = None,
) -> None:
    """Serve until told to stop."""
    gc.set_threshold(STARTING_THRESHOLD)
    said = {"host": host, "port": port}
    address = {key: value for key, value in said.items() if value is not None}
    if demo:
        _serve_demo(config, state, address)
        return
    settings = _settings(config, address)
    from server.serving import serve as serve_settings  # noqa: PLC0415  # each command imports only what it needs

    serve_settings(settings, file=config)


def _serve_demo(config: Path | None, state: Path | None, address: Mapping[str, object]) -> None:
    from server.demo import demo_settings, greeting  # noqa: PLC0415  # each command imports only what it needs
    from server.serving import serve as serve_settings  # noqa: PLC0415  # same

    _refuse_both(config)
    settings = demo_settings(state, address)
    serve_settings(settings, on_listen=lambda host, port: typer.echo(greeting(settings, state, host, port)))


@app.command()
def token(
    user: Annotated[str, typer.Option(help="The user id that the token names.")],
    tier: Annotated[str, typer.Option(help="The tier that the token names.")],
    config: Config = None,
    *,
    demo: Demo = False,
    state: State = None,
    organization: Annotated[str | None, typer.Option(help="The organization id.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="A role; may be repeated.")] = None,
    feature: Annotated[list[str] | None, typer.Option(help="A feature; may be repeated.")] = None,
    expires: Annotated[int, typer.Option(min=1, max=31_536_000, help="Life in seconds.")] = 3600,
) -> None:
    """Make a token for tests. Needs auth.private_key."""
    import time  # noqa: PLC0415  # each command imports only what it needs

    from server.auth.issuing import Holder, issued  # noqa: PLC0415  # same

    holder = Holder(user, tier, organization, tuple(role or ()), tuple(feature or ()))
    typer.echo(issued(_either(config, state, demo=demo), holder, expires_seconds=expires, now=time.time()))


@app.command()
def doctor(config: Config = None, *, demo: Demo = False, state: State = None) -> None:
    """Show what is configured and what can be reached. Exit 1 when something configured cannot."""
    from server.cli_doctor import examine  # noqa: PLC0415  # each command imports only what it needs

    lines, is_well = examine(_either(config, state, demo=demo))
    for line in lines:
        typer.echo(line)
    if not is_well:
        raise typer.Exit(1)


@app.command()
def grant(
    user: Annotated[str, typer.Option(help="Whose account.")],
    asset: Annotated[str, typer.Option(help="TOKEN, CREDIT or USD.")],
    amount: Annotated[str, typer.Option(help="How much, as a decimal number.")],
    config: Config = None,
    *,
    demo: Demo = False,
    state: State = None,
    kind: Annotated[str, typer.Option(help="promotion, purchase (tokens are split) or allowance.")] = "promotion",
    reason: Annotated[str, typer.Option(help="Why; kept with it.")] = "",
    expires: Annotated[str | None, typer.Option(metavar="DATE", help="Until when; left out: for ever.")] = None,
    key: Annotated[str | None, typer.Option(help="The same key grants once.")] = None,
) -> None:
    """Put tokens, credits or money into an account. Not while a server runs on the embedded database."""
    from server.cli_money import Gift, granted  # noqa: PLC0415  # each command imports only what it needs

    gift = Gift(user, asset.upper(), amount, kind, reason, expires, key)
    typer.echo(granted(_either(config, state, demo=demo), gift))


@app.command()
def accounts(
    config: Config = None,
    *,
    demo: Demo = False,
    state: State = None,
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
) -> None:
    """Show every account with its balance, also while a server runs."""
    from server.cli_money import accounts as found  # noqa: PLC0415  # each command imports only what it needs

    for line in found(_either(config, state, demo=demo), user):
        typer.echo(line)


@app.command()
def verify(config: Config = None, *, demo: Demo = False, state: State = None) -> None:
    """Prove the ledger's invariants, also while a server runs. Exit 1 when one is broken."""
    from server.cli_money import verified  # noqa: PLC0415  # each command imports only what it needs

    def begun(line: str) -> None:
        if sys.stderr.isatty():  # whoever waits sees what for; the verdict takes its place
            typer.echo(f"{line}\r", err=True, nl=False)

    if not verified(_either(config, state, demo=demo), begun, typer.echo):
        raise typer.Exit(1)


@app.command()
def tiers(
    price: Annotated[list[str], typer.Option(metavar="TIER=DOLLARS", help="A plan and its price; repeat it.")],
    subscribers: Annotated[list[str] | None, typer.Option(metavar="TIER=N", help="How many pay for it.")] = None,
    margin: Annotated[str, typer.Option(help="What must stay of the price.")] = "80%",
    fee_percent: Annotated[str, typer.Option(help="The payment processor's share.")] = "2.9%",
    fee_fixed: Annotated[str, typer.Option(help="Its fee per payment, in dollars.")] = "0.30",
    fee_from: Annotated[str, typer.Option(help="profit, or budget: then the margin stands after the fee.")] = "profit",
) -> None:
    """Calculate what plans may cost their providers so that a margin stays."""
    from server.cli_tiers import planned_lines  # noqa: PLC0415  # each command imports only what it needs

    for line in planned_lines(
        price, subscribers or (), margin=margin, fee_percent=fee_percent, fee_fixed=fee_fixed, fee_from=fee_from
    ):
        typer.echo(line)


@app.command()
def keys(
    action: Annotated[str, typer.Argument(help="create, list, rotate, revoke or reseal.")],
    key_id: Annotated[str | None, typer.Argument(help="The key's id, for rotate and revoke.")] = None,
    config: Config = None,
    *,
    demo: Demo = False,
    state: State = None,
    user: Annotated[str | None, typer.Option(help="create: for whom it acts. list: only this user's.")] = None,
    organization: Annotated[str | None, typer.Option(help="create, list: the user's; without --user: its own.")] = None,
    tier: Annotated[str | None, typer.Option(help="create: the tier until a subscription is stored.")] = None,
    name: Annotated[str, typer.Option(help="create: what it is for.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="create: a scope; may be repeated. Left out: all.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="create: a model or pattern; may be repeated.")] = None,
    rpm: Annotated[int | None, typer.Option(min=1, help="create: requests a minute.")] = None,
    expires: Annotated[str | None, typer.Option(metavar="DATE", help="create: until when.")] = None,
    overlap: Annotated[int, typer.Option(min=0, help="rotate: seconds that both secrets are accepted.")] = 86_400,
    reason: Annotated[str, typer.Option(help="revoke: why; kept with it.")] = "",
) -> None:
    """Make, list, rotate or end the keys of callers; reseal kept provider keys. All but list not while SQLite is served."""
    from server import cli_keys  # noqa: PLC0415  # each command imports only what it needs

    if action in ("rotate", "revoke") and key_id is None:
        raise Refused(f"keys {action}: name the key's id; tollgate keys list shows it")
    if action == "create" and user is None and organization is None:
        raise Refused("keys create: give --user, for whom the key acts, or --organization alone, whose pool pays")
    settings = _either(config, state, demo=demo)
    match action:
        case "create":
            order = cli_keys.Order(user, organization, tier, name, scope, model or (), rpm, expires)
            lines = cli_keys.created(settings, order)
        case "list":
            lines = cli_keys.listed(settings, user, organization)
        case "rotate":
            lines = cli_keys.rotated(settings, key_id or "", overlap)
        case "revoke":
            lines = cli_keys.revoked(settings, key_id or "", reason)
        case "reseal":
            lines = cli_keys.resealed(settings)
        case _:
            raise Refused(f"keys {action}: give create, list, rotate, revoke or reseal")
    for line in lines:
        typer.echo(line)


@app.command()
def migrate(
    config: Config = None,
    *,
    demo: Demo = False,
    state: State = None,
    down_to: Annotated[
        str | None,
        typer.Option(metavar="REV", help="Go down to this revision, `base` for no tables: loses what it drops."),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Only say which schema the database has.")] = False,
) -> None:
    """Bring the database's schema to this program's. PostgreSQL needs it before the first start and after an upgrade."""
    from server.cli_migrate import migrated  # noqa: PLC0415  # each command imports only what it needs

    if show and down_to is not None:
        raise Refused("--show and --down-to exclude each other; give one")
    typer.echo(migrated(_either(config, state, demo=demo), down_to=down_to, is_shown=show))


@app.command()
def openrpc(config: Config = None) -> None:
    """Print the OpenRPC document of this server."""
    import json  # noqa: PLC0415  # each command imports only what it needs

    from server.config import Settings  # noqa: PLC0415  # same
    from server.describe import openrpc_document  # noqa: PLC0415  # same

    settings = Settings() if config is None else _settings(config)
    typer.echo(json.dumps(openrpc_document(settings), indent=2))


@app.command()
def openapi(config: Config = None) -> None:
    """Print the OpenAPI document of this server's REST facades."""
    import json  # noqa: PLC0415  # each command imports only what it needs

    from server.config import Settings  # noqa: PLC0415  # same
    from server.describe import openapi_document  # noqa: PLC0415  # same

    settings = Settings() if config is None else _settings(config)
    typer.echo(json.dumps(openapi_document(settings), indent=2))


def _either(config: Path | None, state: Path | None, *, demo: bool) -> "Settings":
    if not demo:
        return _settings(config)
    from server.demo import demo_settings  # noqa: PLC0415  # each command imports only what it needs

    _refuse_both(config)
    return demo_settings(state)


def _settings(config: Path | None, address: Mapping[str, object] | None = None) -> "Settings":
    """The settings of a file, with an address from the command line in the place of the file's."""
    if config is None:
        raise Refused("give --config FILE (start from config.example.toml), or --demo")
    from server.config import Settings  # noqa: PLC0415  # each command imports only what it needs

    environ = {
        **os.environ,
        **{f"TOLLGATE__SERVER__{key.upper()}": str(value) for key, value in (address or {}).items()},
    }
    return Settings.load(config, environ)


def _refuse_both(config: Path | None) -> None:
    if config is not None:
        raise Refused("--config and --demo exclude each other; give one")
