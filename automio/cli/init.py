"""`automio init`: the files a project starts with. Next: `automio pull`, or SQL in schema/ and `automio serve`.

The first line of codegen.toml names a JSON schema, so that editors with a TOML extension (taplo) complete its keys. The
schemas come with automio and are laid out in `.automio/schemas/`, also by `generate`, since `.automio/` is not in git.

Nothing that exists is changed: each file and folder is made, or kept as it is. The app's id and the server come from the
environment (endpoint.py); no secret is written anywhere.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from automio.cli.endpoint import find_endpoint
from automio.cli.output import Line, Report
from automio.errors import ConfigError
from automio.settings import Settings

SCHEMAS = ".automio/schemas"
GRAPHQLRC = """\
# For GraphQL editor extensions: completion and errors in queries/**/*.graphql.
schema: "schema/**/*.graphql"
documents: "queries/**/*.graphql"
"""


def init(folder: Path) -> Report:
    """Make codegen.toml, .graphqlrc.yml, schema/ and queries/ in a folder, which is made too when it isn't there.

    Raises OSError when something can't be written, ConfigError for a variable that can't be used.
    """
    app = Settings.read().app_id
    made: list[str] = []
    kept: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("schema", "queries"):
        (kept if (folder / name).exists() else made).append(f"{name}/")
        (folder / name).mkdir(exist_ok=True)
    for name, text in {"codegen.toml": codegen_toml(app), ".graphqlrc.yml": GRAPHQLRC}.items():
        try:
            with (folder / name).open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            made.append(name)
        except FileExistsError:
            kept.append(name)
    place_schemas(folder)
    endpoint, step = _next_step()
    lines = [Line(f"made {name}", "green") for name in made]
    lines += [Line(f"kept {name}, which was there") for name in kept]
    lines.append(Line(step))
    return Report(tuple(lines), {"made": made, "kept": kept, "endpoint": endpoint})


def place_schemas(folder: Path) -> None:
    """The JSON schemas that `#:schema` lines name, below `.automio/`: for editors, so a folder without rights is no fault."""
    place = folder / SCHEMAS
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        ignored = place.parent / ".gitignore"
        if not ignored.exists():
            ignored.write_text("*\n")
        for part, name in (("codegen", "codegen.schema.json"), ("local", "platform.schema.json")):
            content = (Path(__file__).parent.parent / part / name).read_bytes()
            if not (place / name).exists() or (place / name).read_bytes() != content:
                (place / name).write_bytes(content)


def codegen_toml(app: int | None) -> str:
    """A first codegen.toml; `app` is the app's id, None when it is not known."""
    apps = "# apps = [130]      # only these apps; all when absent" if app is None else f"apps = [{app}]"
    return f"""\
#:schema ./{SCHEMAS}/codegen.schema.json
# What `automio generate` compiles: schema/ and queries/ into one package an app, beside this file.
schema = "schema"
queries = "queries"
target = "."
{apps}

[tenancy]
column = "organization_id"
"""


def _next_step() -> tuple[str | None, str]:
    try:
        name = find_endpoint().name
    except ConfigError as error:
        return None, f"next: {error.message} (or HASURA_GRAPHQL_ENDPOINT); then automio pull"
    return name, f"next: automio pull (from {name})"
