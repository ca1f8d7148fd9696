"""The commands and their options. Each imports its own module when it runs, so that `automio --help` is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from automio.cli.output import Report, show

app = typer.Typer(
    help="Typed Python functions for tables behind Hasura, scoped to one organization.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich" if sys.stdout.isatty() else None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

export = typer.Typer(no_args_is_help=True, help="Write what is compiled in the format of something else.")
app.add_typer(export, name="export")

Config = Annotated[Path, typer.Option("--config", "-c", help="codegen.toml, in the folder of the project.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON value, for scripts.")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"automio {version('automio')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Typed Python functions for tables behind Hasura, scoped to one organization.

    init, then pull and generate; serve runs the platform on this machine, dev does all three. Exit codes: 0 fine, 1 findings, 2 cannot run.
    """


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The project's folder.")] = Path(),
    as_json: Json = False,
) -> None:
    """Make codegen.toml, .graphqlrc.yml, schema/ and queries/; what exists is kept."""
    from automio.cli import init as command

    _end(command.init(folder), as_json)


@app.command()
def pull(
    endpoint: Annotated[
        str | None, typer.Option(help="Hasura's URL or the gateway's; else the environment says.", metavar="URL")
    ] = None,
    app_ids: Annotated[list[int] | None, typer.Option("--app", help="Only this app's tables; may be repeated.")] = None,
    role: Annotated[str | None, typer.Option(help="Pull what this Hasura role may see.")] = None,
    table: Annotated[str, typer.Option(help="The table in the gateway's URL, where one is demanded.")] = "",
    schema: Annotated[Path | None, typer.Option(help="Folder to write to; else the one in codegen.toml.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0.1)] = 60,
    config: Config = Path("codegen.toml"),
    as_json: Json = False,
) -> None:
    """Write the server's schema to schema/, a file a table."""
    from automio.cli import pull as command

    report = command.pull(
        config=config,
        schema=schema,
        endpoint=endpoint,
        role=role,
        table=table,
        apps=app_ids or (),
        timeout=timeout,
        quiet=as_json,
    )
    _end(report, as_json)


@app.command()
def generate(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when files are stale.")] = False,
    unused: Annotated[
        bool, typer.Option("--unused", help="Warn of operations that no Python file of the project names.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Compile again after each change, until Ctrl-C.")] = False,
    config: Config = Path("codegen.toml"),
    as_json: Json = False,
) -> None:
    """Compile schema and operations into typed Python packages."""
    if watch:
        if check or as_json or unused:
            raise typer.BadParameter("--watch goes with none of --check, --unused and --json")
        from automio.cli.watch import watch as keep_watching

        keep_watching(config, lambda report: show(report, as_json=False))
        return
    from automio.cli import generate as command

    report = command.run(config, check=check, quiet=as_json)
    _end(command.with_unused(report, config) if unused else report, as_json)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="Folder, SDL file, introspection .json, or HEAD~1:schema.")],
    new: Annotated[str, typer.Argument(help="The same, after the change.")],
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on any breaking change, used or not.")] = False,
    config: Config = Path("codegen.toml"),
    as_json: Json = False,
) -> None:
    """Say what a change of the schema breaks, function by function; exit 1 when one of ours breaks."""
    from automio.cli import diff as command

    _end(command.run(old, new, config=config, strict=strict, quiet=as_json), as_json)


@app.command()
def explain(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE[:OPERATION]",
            help="A file of operations, one of them, a function (orders.find), or - for stdin.",
        ),
    ],
    sql: Annotated[bool, typer.Option("--sql", help="Show the SQL too, as the local engine plans it.")] = False,
    variables: Annotated[str, typer.Option(metavar="JSON", help="Values for --sql; samples where none is given.")] = "",
    organization: Annotated[int, typer.Option(help="The caller's organization, for --sql.")] = 1,
    config: Config = Path("codegen.toml"),
    as_json: Json = False,
) -> None:
    """Show what an operation becomes: the text that is sent, what is done to variables and answer, and why."""
    from automio.cli import explain as command

    report = command.run(file, config=config, sql=sql, variables=variables, organization=organization, quiet=as_json)
    _end(report, as_json)


@export.command("allow-list")
def export_allow_list(
    out: Annotated[
        Path, typer.Option(help="query_collections.yaml, or Hasura's metadata folder; allow_list.yaml goes beside it.")
    ] = Path("metadata/query_collections.yaml"),
    collection: Annotated[str, typer.Option(help="Name of the collection that is ours.")] = "automio",
    roles: Annotated[
        list[str] | None, typer.Option("--role", help="Allow it for this role only; may be repeated. Else for all.")
    ] = None,
    app_id: Annotated[int | None, typer.Option(help="The app's id in the installation that it is for.", min=0)] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when the files are stale.")] = False,
    config: Config = Path("codegen.toml"),
    as_json: Json = False,
) -> None:
    """Write the compiled operations to Hasura's query collections and allow list; other collections stay as they are."""
    from automio.cli import export as command

    report = command.allow_list(
        config, out=out, collection=collection, roles=roles or (), app_id=app_id, check=check, quiet=as_json
    )
    _end(report, as_json)


@export.command("permissions")
def export_permissions(
    out: Annotated[
        Path, typer.Option(help="Hasura's metadata folder, or a .json file for one request to /v1/metadata.")
    ] = Path("metadata"),
    role: Annotated[str, typer.Option(help="The role that is bound to an organization.")] = "organization",
    variable: Annotated[
        str, typer.Option(help="The session variable that says which organization.")
    ] = "X-Hasura-Organization-Id",
    source: Annotated[str, typer.Option(help="Hasura's name of the database.")] = "default",
    preset: Annotated[
        bool, typer.Option(help="Fill the organization in; without, rows name it and the check compares.")
    ] = True,
    app_id: Annotated[int | None, typer.Option(help="The app's id in the installation that it is for.", min=0)] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when the files are stale.")] = False,
    config: Config = Path("codegen.toml"),
    as_json: Json = False,
) -> None:
    """Write row permissions with which Hasura itself binds a role to one organization; what others wrote stays."""
    from automio.cli import permissions as command

    report = command.run(
        config,
        out=out,
        role=role,
        variable=variable,
        source=source,
        preset=preset,
        app_id=app_id,
        check=check,
        quiet=as_json,
    )
    _end(report, as_json)


@export.command("openapi")
def export_openapi(
    out: Annotated[Path | None, typer.Option(help="The file to write; else it is printed.")] = None,
) -> None:
    """Write what the local platform serves, as OpenAPI 3.1; a running one answers the same at /openapi.json."""
    from automio.cli import openapi as command

    _end(command.run(out), False)


@app.command()
def serve(
    config: Annotated[Path | None, typer.Option("--config", "-c", help="platform.toml.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.", min=0, max=65535)] = 8080,
) -> None:
    """Run the platform on this machine: PostgreSQL, Hasura's endpoint and the gateway. Ctrl-C stops it."""
    from automio.cli import serve as command

    _end(command.run(config, host, port), False)


@app.command()
def dev(
    platform: Annotated[Path | None, typer.Option(help="platform.toml; else the one beside codegen.toml.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 picks a free one.", min=0, max=65535)] = 8080,
    config: Config = Path("codegen.toml"),
) -> None:
    """Serve, and after every change of tables, SQL, operations or codegen.toml pull and generate. Ctrl-C stops it."""
    from automio.cli import dev as command

    _end(command.run(config, platform, host, port), False)


@app.command()
def doctor(
    timeout: Annotated[float, typer.Option(help="Seconds to wait for the server.", min=0.1)] = 5,
    config: Config = Path("codegen.toml"),
    as_json: Json = False,
) -> None:
    """Say what is wrong with installation, configuration and servers, and what to do; exit 1 when something is."""
    from automio.cli import doctor as command

    _end(command.run(config, timeout), as_json)


def _end(report: Report, as_json: bool) -> None:
    show(report, as_json=as_json)
    if report.exit_code:
        raise typer.Exit(report.exit_code)
