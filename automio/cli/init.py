"""`automio init`: the files a project starts with. Next: `automio pull`, or SQL in schema/ and `automio serve`.

Nothing that exists is changed: each file and folder is made, or kept as it is. The app's id and the server come from the
environment (endpoint.py); no secret is written anywhere.
"""

from __future__ import annotations

from pathlib import Path

from automio.cli.endpoint import find_endpoint
from automio.cli.output import Line, Report
from automio.errors import ConfigError
from automio.settings import Settings

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
    endpoint, step = _next_step()
    lines = [Line(f"made {name}", "green") for name in made]
    lines += [Line(f"kept {name}, which was there") for name in kept]
    lines.append(Line(step))
    return Report(tuple(lines), {"made": made, "kept": kept, "endpoint": endpoint})


def codegen_toml(app: int | None) -> str:
    """A first codegen.toml; `app` is the app's id, None when it is not known."""
    apps = "# apps = [130]      # only these apps; all when absent" if app is None else f"apps = [{app}]"
    return f"""\
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
