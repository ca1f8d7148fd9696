"""SQL files of the project -> the database. Used by server.py before it answers.

The rules:
- Schema files (`[database] schema` of platform.toml) run in the order of their paths, when the database has not seen them
  or they have changed since. So each must be repeatable: `CREATE TABLE IF NOT EXISTS`, and a later column as
  `ALTER TABLE … ADD COLUMN IF NOT EXISTS` below it. Nothing is ever dropped for you.
- Seed files run once, after the schema; a seed that has changed is not run again, since its rows may have been changed or
  deleted on purpose meanwhile. Deleting `.automio/` gives a new database.
- The table `automio.applied` remembers a file by its path, with the hash of its text. The entry and the script are one
  transaction: a script that fails leaves neither tables nor entry. Two starters at once take turns (an advisory lock).
- The check whether a file is due is made by the database, in that transaction, and not by us before it: it raises
  SQLSTATE AM001 for a file that is not due. Reading first would leave a gap for the other starter, and would need the
  engine to hand out rows.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from automio.errors import EngineError, LocalError
from automio.local.config import PlatformConfig

if TYPE_CHECKING:
    from automio.engine.engine import Engine

_NOT_DUE = "AM001"
_LOCK = 0x6175746F6D696F  # "automio"; any number that other programs are unlikely to lock
_HEAD = f"""\
SELECT pg_advisory_xact_lock({_LOCK});
CREATE SCHEMA IF NOT EXISTS automio;
CREATE TABLE IF NOT EXISTS automio.applied (
    path text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now());
"""


@dataclass(frozen=True, slots=True)
class Script:
    """A SQL file: its path below the project, its text, and whether it runs once only."""

    path: str
    text: str
    once: bool


def read_scripts(config: PlatformConfig) -> tuple[Script, ...]:
    """The schema files, then the seeds, each in the order of the paths. Raises LocalError for one that isn't UTF-8."""
    seeds = _matches(config.root, config.seeds)
    schema = [path for path in _matches(config.root, config.schema) if path not in seeds]
    return tuple(_script(config.root, path, path in seeds) for path in (*schema, *seeds))


def _matches(root: Path, patterns: tuple[str, ...]) -> list[Path]:
    found = {path for pattern in patterns for path in root.glob(pattern) if path.is_file()}
    return sorted(found, key=lambda path: path.relative_to(root).as_posix())


def _script(root: Path, path: Path, once: bool) -> Script:
    name = path.relative_to(root).as_posix()
    try:
        return Script(name, path.read_text(encoding="utf-8-sig"), once)
    except UnicodeDecodeError:
        raise LocalError(f"{name}: this file is not UTF-8", hint="Save it as UTF-8.") from None


async def apply_scripts(engine: Engine, scripts: tuple[Script, ...]) -> tuple[str, ...]:
    """Run the scripts that are due; the paths of those. Raises LocalError with the file's place when one fails."""
    applied: list[str] = []
    for script in scripts:
        head = _head(script)
        try:
            await engine.run_sql(head + script.text)
            applied.append(script.path)
        except EngineError as error:
            if error.sqlstate != _NOT_DUE:
                raise _failed(script, error, head) from error
    return tuple(applied)


def _head(script: Script) -> str:
    path, digest = _literal(script.path), _literal(hashlib.sha256(script.text.encode()).hexdigest())
    same = "" if script.once else f" AND sha256 = {digest}"
    return (
        f"{_HEAD}"
        f"DO $automio$ BEGIN IF EXISTS (SELECT FROM automio.applied WHERE path = {path}{same}) THEN "
        f"RAISE EXCEPTION 'not due' USING ERRCODE = '{_NOT_DUE}'; END IF; END $automio$;\n"
        f"INSERT INTO automio.applied (path, sha256) VALUES ({path}, {digest}) "
        f"ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256, applied_at = now();\n"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _failed(script: Script, error: EngineError, head: str) -> LocalError:
    """Where in the file, as far as the engine says: `line N: ` in front, counted from the head on."""
    place, message, frame = script.path, error.message, ""
    told = re.match(r"line (\d+): ", message)
    if told:
        message = message[told.end() :]
        line = int(told[1]) - head.count("\n")
        lines = script.text.split("\n")
        if 0 < line <= len(lines):
            place, frame = f"{script.path}:{line}:1", f"\n  {line} | {lines[line - 1]}"
    hint = "The script was undone."
    if not script.once:
        hint += " A changed script runs again as a whole: write it so that it can."
    return LocalError(f"{place}: {message}{frame}", hint=hint)
