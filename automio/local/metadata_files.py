"""A Hasura project's folder `metadata/` -> the metadata of the database, at each start. Used by server.py.

Comes in: the folder beside platform.toml, in the layout of version 3 (`version.yaml`, `databases/databases.yaml`, tables in
files of their own, joined by `!include`). Goes out: one replace_metadata request to the engine; without the folder nothing
happens. What does not fit the database (yet) is told, a line each, and left out; what is out of scope stops the start.

A file may be included from the folder alone: a path that leads out of it is a fault.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automio.errors import ConfigError

if TYPE_CHECKING:
    from automio.engine.engine import Engine

FOLDER = "metadata"
_ENTRY = Path("databases") / "databases.yaml"
_INCLUDE = "!include "
_PARTS = (
    "remote_schemas",
    "actions",
    "cron_triggers",
    "inherited_roles",
    "query_collections",
    "allow_list",
    "rest_endpoints",
)


def read_folder(root: Path) -> dict[str, Any] | None:
    """The metadata in `root`/metadata, None when there is none. Raises ConfigError: YAML that can't be read, a bad include."""
    folder = root / FOLDER
    if not (folder / _ENTRY).is_file():
        return None
    found: dict[str, Any] = {"version": 3, "sources": _load(folder, folder / _ENTRY) or []}
    for name in _PARTS:
        path = folder / f"{name}.yaml"
        content = _load(folder, path) if path.is_file() else None
        if isinstance(content, dict):  # actions.yaml always holds empty lists
            content = [one for value in content.values() if isinstance(value, list) for one in value]
        if content:
            found[name.replace("allow_list", "allowlist")] = content
    return found


async def apply_folder(engine: Engine, root: Path, note: Callable[[str], None]) -> None:
    """Makes the folder's metadata the database's. Raises ConfigError."""
    from automio.engine.metadata_format import AdminRefusal

    metadata = read_folder(root)
    if metadata is None:
        return
    try:
        args = {"allow_inconsistent_metadata": True, "metadata": metadata}
        answer = await engine.admin({"type": "replace_metadata", "version": 2, "args": args})
    except AdminRefusal as refusal:
        where = refusal.path.removeprefix("$.args.metadata")
        raise ConfigError(f"{root / FOLDER}: {refusal.message} (at {where or 'the top'})") from None
    for one in answer["inconsistent_objects"]:
        note(f"{FOLDER}/: {one['name']}: {one['reason']}")


def _load(folder: Path, path: Path) -> Any:
    try:
        import yaml
    except ImportError:  # pragma: no cover  the extra `local` brings it
        raise ConfigError(f"{path} needs the package pyyaml", hint="Install automio[local].") from None

    class Loader(yaml.SafeLoader):
        """Reads `!include file`, as a tag or (as Hasura writes it) in quotes."""

    def include(loader: yaml.SafeLoader, node: Any) -> Any:
        return _included(folder, path, str(loader.construct_scalar(node)))

    Loader.add_constructor("!include", include)
    try:
        found = yaml.load(path.read_text(encoding="utf-8-sig"), Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        reason = " ".join(str(exc).split())[:300]
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
    return _resolved(folder, path, found)


def _resolved(folder: Path, path: Path, value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_INCLUDE):
        return _included(folder, path, value.removeprefix(_INCLUDE).strip())
    if isinstance(value, list):
        return [_resolved(folder, path, one) for one in value]
    if isinstance(value, dict):
        return {str(key): _resolved(folder, path, one) for key, one in value.items()}
    return value


def _included(folder: Path, path: Path, name: str) -> Any:
    target = (path.parent / name).resolve()
    if not target.is_relative_to(folder.resolve()) or target == path.resolve():
        raise ConfigError(f"{path}: {name} is not a file of the folder {FOLDER}")
    return _load(folder, target)
