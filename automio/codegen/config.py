"""codegen.toml -> CodegenConfig. Next: sources.py.

The least that works is an empty file. Every fault is reported with its place, all of them at once; a key that is not
known is a fault, since a misspelt key that is ignored looks like one that works.

    schema = "schema"                       # folder of SDL files, one SDL file, or one introspection JSON
    queries = "queries"                     # folder of operations
    target = "."                            # where packages are written
    package = "shop"                        # package of tables that are not app_<ID>_…
    apps = [130]                            # only these apps; all when absent
    derived = true                          # functions from tables alone (find, insert, …)
    [apps.130]                              # instead of the list, when an app's package has a name of its own
    package = "orders_app"
    [tenancy]
    column = "organization_id"              # enabled = false for schemas without organizations
    safe_functions = ["search_orders"]      # see scope/policy.py
    writable_shared_tables = ["countries"]
    [scalars]
    citext = "str"
    point = { type = "geo.Point", argument = "geo.Point" }
    [tables."app_130_orders"]
    derived = ["get", "find"]               # or true, false
    model = "Order"                         # the class of a whole row
    module = "shop_orders"                  # its module
    names = { orderId = "external_id" }     # Python names of columns and relationships
    nullable = ["total"]                    # columns that may be null whatever the schema says
    required = ["status"]                   # columns that never are: those of a view are nullable in the schema
    scalars = { status = "shop.Status" }    # the Python type of one column, as [scalars] has it for all of a type
    references = { shop_id = "app_130_shops.id" }  # foreign keys, checked before a write; "… via orders" names the way back
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from automio.dialect.index import Reference
from automio.dialect.names import RESERVED_MODULES, python_name, split_app
from automio.dialect.scalars import SCALARS, Scalar
from automio.errors import CodegenError, ConfigError, Diagnostic

DERIVED = (
    "get get_by find iterate count aggregate insert insert_many upsert_many update update_many update_by_pk delete "
    "delete_by_pk watch"
).split()
"""Kinds of derived functions, as `[tables.X] derived` names them."""

_TABLE_KEYS = ("derived", "model", "module", "names", "nullable", "references", "required", "scalars")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_HEADER = re.compile(r"""\s*\[{1,2}\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*\]""")
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]*")
_REFERENCE = re.compile(r"\s*(\w+)\.(\w+)(?:\s+via\s+(\w+))?\s*")


@dataclass(frozen=True, slots=True)
class TableConfig:
    """`[tables."x"]`: which derived functions (None: as the top says), the class name of a row ("": by rule), and what
    overrides.py changes."""

    derived: frozenset[str] | None = None
    model: str = ""
    module: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    nullable: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    scalars: Mapping[str, Scalar] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)
    """Column -> where it leads; `via` is "" where the configuration leaves it to the schema."""
    places: Mapping[str, tuple[int, int, str]] = field(default_factory=dict)
    """Key (`names.orderId`, "" for the table itself) -> line, column and source line, for faults that only a schema shows."""


@dataclass(frozen=True, slots=True)
class CodegenConfig:
    """codegen.toml, read and checked. `root` is its folder; all other paths are relative to it, in POSIX style."""

    root: Path
    path: str = "codegen.toml"
    schema: str = "schema"
    queries: str = "queries"
    target: str = "."
    package: str = ""
    apps: tuple[str, ...] | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    derived: bool = True
    tenant_column: str | None = "organization_id"
    safe_functions: frozenset[str] = frozenset()
    writable_shared_tables: frozenset[str] = frozenset()
    scalars: Mapping[str, Scalar] = field(default_factory=lambda: dict(SCALARS))
    tables: Mapping[str, TableConfig] = field(default_factory=dict)

    def package_of(self, app: str) -> str:
        """The package that an app's tables go to; "" when the app is not generated or nothing names a package."""
        if not app:
            return self.package
        if self.apps is not None and app not in self.apps:
            return ""
        return self.packages.get(app, f"app_{app}")

    @property
    def references(self) -> dict[str, Mapping[str, Reference]]:
        """Table -> its declared foreign keys; {} where nothing is declared."""
        return {name: table.references for name, table in self.tables.items() if table.references}

    def module_of(self, table: str) -> str:
        """The module that the project chose for a table, "" when it goes by rule."""
        return self.tables.get(table, TableConfig()).module

    def derived_of(self, table: str) -> frozenset[str]:
        """Kinds of derived functions that a table gets."""
        own = self.tables.get(table, TableConfig()).derived
        if own is not None:
            return own
        return frozenset(DERIVED) if self.derived else frozenset()


def load_config(path: Path) -> CodegenConfig:
    """The configuration at `path`. Raises ConfigError when there is no file, CodegenError with every fault in it."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path.name} was not found", hint="`automio init` writes one.") from None
    except UnicodeDecodeError:
        raise CodegenError([Diagnostic(path.name, 1, 1, "this file is not UTF-8", code="AUTOMIO-105")]) from None
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CodegenError([_syntax(path.name, text, str(error))]) from error
    reader = _Reader(path.name, text)
    config = reader.config(path.resolve().parent, values)
    if reader.faults:
        raise CodegenError(reader.faults)
    return config


def _syntax(path: str, text: str, message: str) -> Diagnostic:
    lines = text.splitlines() or [""]
    found = _PLACE.search(message)
    line, column = len(lines), len(lines[-1]) + 1
    if found and found[1]:
        line, column = int(found[1]), int(found[2])
    source = lines[line - 1] if line <= len(lines) else ""
    what = _PLACE.sub("", message)
    return Diagnostic(path, line, column, f"not TOML: {what}", code="AUTOMIO-101", source_line=source)


class _Reader:
    """Values and where they stand; faults are collected, the value is then the default."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.places = _places(self.lines)
        self.faults: list[Diagnostic] = []

    def config(self, root: Path, values: Mapping[str, Any]) -> CodegenConfig:
        known = ["schema", "queries", "target", "package", "apps", "derived", "tenancy", "scalars", "tables"]
        self.known((), values, known)
        apps, packages = self.apps(values.get("apps"))
        tenancy = self.table(("tenancy",), values, ["column", "enabled", "safe_functions", "writable_shared_tables"])
        column = self.text(("tenancy", "column"), tenancy, "organization_id")
        config = CodegenConfig(
            root=root,
            path=self.path,
            schema=self.folder("schema", values, "schema"),
            queries=self.folder("queries", values, "queries"),
            target=self.folder("target", values, "."),
            package=self.package(("package",), values),
            apps=apps,
            packages=packages,
            derived=self.flag(("derived",), values, True),
            tenant_column=column if self.flag(("tenancy", "enabled"), tenancy, True) else None,
            safe_functions=frozenset(self.texts(("tenancy", "safe_functions"), tenancy)),
            writable_shared_tables=frozenset(self.texts(("tenancy", "writable_shared_tables"), tenancy)),
            scalars={**SCALARS, **self.scalars(("scalars",), self.table(("scalars",), values))},
            tables=self.tables(self.table(("tables",), values)),
        )
        for name in config.references if config.tenant_column is None else ():
            message = "references are checked between organizations, and there are none: `enabled = false` in [tenancy]"
            self.fault(("tables", name, "references"), message)
        used = [config.package, *packages.values(), *(f"app_{app}" for app in apps or () if app not in packages)]
        for name in sorted({name for name in used if name and used.count(name) > 1}):
            self.fault(("package",), f"two sets of tables go to the package {name!r}")
        return config

    def apps(self, value: Any) -> tuple[tuple[str, ...] | None, dict[str, str]]:
        if value is None:
            return None, {}
        if isinstance(value, dict):
            packages: dict[str, str] = {}
            for app, own in value.items():
                if not app.isdigit():
                    self.fault(("apps", app), f"{app!r} is not an app id, a number")
                elif not isinstance(own, dict):
                    self.wrong(("apps", app), "a table", own)
                else:
                    self.known(("apps", app), own, ["package"])
                    name = self.package(("apps", app, "package"), own)
                    if name:
                        packages[app] = name
            return tuple(value), packages
        if not isinstance(value, list) or not all(type(app) is int and app >= 0 for app in value):
            self.wrong(("apps",), "a list of app ids, [130]", value)
            return None, {}
        return tuple(str(app) for app in value), {}

    def scalars(self, above: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, Scalar]:
        found: dict[str, Scalar] = {}
        for name, value in values.items():
            place = (*above, name)
            if isinstance(value, dict):
                self.known(place, value, ["type", "argument"])
                model = self.text((*place, "type"), value, "")
                argument = self.text((*place, "argument"), value, model)
            else:
                model = argument = self.text((name,), {name: value}, "", place)
            if model and argument:
                types = [_type(text) for text in (model, argument)]
                imports = tuple(dict.fromkeys(module for _, module in types if module))
                found[name] = Scalar(name, types[0][0], types[1][0], imports)
            elif isinstance(value, dict) and value.keys() <= {"argument"}:
                self.fault(place, 'a scalar needs `type = "module.Name"`')
        return found

    def tables(self, values: Mapping[str, Any]) -> dict[str, TableConfig]:
        found: dict[str, TableConfig] = {}
        for name, value in values.items():
            place = ("tables", name)
            if not isinstance(value, dict):
                self.wrong(place, "a table", value)
                continue
            self.known(place, value, list(_TABLE_KEYS))
            model = self.text((*place, "model"), value, "")
            if model and not model.isidentifier():
                self.fault((*place, "model"), f"{model!r} is not a Python class name")
            nullable = frozenset(self.texts((*place, "nullable"), value))
            required = frozenset(self.texts((*place, "required"), value))
            for column in sorted(nullable & required):
                self.fault((*place, "required"), f"{column!r} is in `nullable` and in `required`")
            found[name] = TableConfig(
                derived=self.derived((*place, "derived"), value.get("derived")),
                model=model,
                module=self.module((*place, "module"), value),
                names=self.names((*place, "names"), value),
                nullable=nullable,
                required=required,
                scalars=self.scalars((*place, "scalars"), self.table((*place, "scalars"), value)),
                references=self.references((*place, "references"), value),
                places=self.places_below(place),
            )
        modules = [(split_app(name)[0], table.module) for name, table in found.items() if table.module]
        for name, table in found.items():
            if modules.count((split_app(name)[0], table.module)) > 1:
                self.fault(("tables", name, "module"), f"two tables go to the module {table.module!r}")
        return found

    def module(self, place: tuple[str, ...], values: Mapping[str, Any]) -> str:
        text = self.text(place, values, "")
        if text and not (_IDENTIFIER.fullmatch(text) and python_name(text) == text and text not in RESERVED_MODULES):
            self.fault(place, f"{text!r} cannot be the name of a module here")
            return ""
        return text

    def names(self, place: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, str]:
        """Column -> its Python name."""
        found: dict[str, str] = {}
        for column, wanted in self.table(place, values).items():
            if not isinstance(wanted, str):
                self.wrong((*place, column), "a string", wanted)
            elif not _IDENTIFIER.fullmatch(wanted) or python_name(wanted) != wanted:
                self.fault((*place, column), f"{wanted!r} cannot be the name of an attribute", "A name in snake_case.")
            elif wanted in found.values():
                self.fault((*place, column), f"two columns are called {wanted!r}")
            else:
                found[column] = wanted
        return found

    def references(self, place: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, Reference]:
        """Column -> where it leads."""
        found: dict[str, Reference] = {}
        for column, written in self.table(place, values).items():
            if not isinstance(written, str):
                self.wrong((*place, column), "a string", written)
            elif to := _REFERENCE.fullmatch(written):
                found[column] = Reference(to[1], to[2], to[3] or "")
            else:
                hint = 'Write "table.column", or "table.column via relationship".'
                self.fault((*place, column), f"{written!r} names no column of a table", hint)
        return found

    def places_below(self, place: tuple[str, ...]) -> dict[str, tuple[int, int, str]]:
        return {
            ".".join(path[len(place) :]): (line, column, self.lines[line - 1])
            for path, (line, column) in self.places.items()
            if path[: len(place)] == place
        }

    def derived(self, place: tuple[str, ...], value: Any) -> frozenset[str] | None:
        if value is None:
            return None
        if isinstance(value, bool):
            return frozenset(DERIVED) if value else frozenset()
        if not isinstance(value, list) or not all(isinstance(kind, str) for kind in value):
            self.wrong(place, "true, false or a list of function kinds", value)
            return None
        for kind in value:
            if kind not in DERIVED:
                self.fault(place, f"{kind!r} is not a kind of derived function", _hint(kind, DERIVED))
        return frozenset(value)

    # Single values.

    def folder(self, key: str, values: Mapping[str, Any], default: str) -> str:
        text = self.text((key,), values, default)
        if Path(text).is_absolute():
            self.fault((key,), f"{key} is relative to {self.path}, not an absolute path")
            return default
        return Path(text).as_posix()

    def package(self, place: tuple[str, ...], values: Mapping[str, Any]) -> str:
        text = self.text(place, values, "")
        if text and not _IDENTIFIER.fullmatch(text):
            self.fault(place, f"{text!r} is not a Python package name")
        return text

    def text(
        self, place: tuple[str, ...], values: Mapping[str, Any], default: str, at: tuple[str, ...] | None = None
    ) -> str:
        value = values.get(place[-1], default)
        if not isinstance(value, str):
            self.wrong(at or place, "a string", value)
            return default
        return value

    def texts(self, place: tuple[str, ...], values: Mapping[str, Any]) -> list[str]:
        value = values.get(place[-1], [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(place, "a list of strings", value)
            return []
        return value

    def flag(self, place: tuple[str, ...], values: Mapping[str, Any], default: bool) -> bool:
        value = values.get(place[-1], default)
        if not isinstance(value, bool):
            self.wrong(place, "true or false", value)
            return default
        return value

    def table(
        self, place: tuple[str, ...], values: Mapping[str, Any], known: list[str] | None = None
    ) -> dict[str, Any]:
        value = values.get(place[-1], {})
        if not isinstance(value, dict):
            self.wrong(place, "a table", value)
            return {}
        if known:
            self.known(place, value, known)
        return value

    def known(self, place: tuple[str, ...], values: Mapping[str, Any], known: list[str]) -> None:
        for key in values:
            if key not in known:
                where = f" in [{'.'.join(place)}]" if place else ""
                self.fault((*place, key), f"unknown key `{key}`{where}", _hint(key, known), "AUTOMIO-102")

    def wrong(self, place: tuple[str, ...], expected: str, value: Any) -> None:
        self.fault(place, f"`{place[-1]}` must be {expected}, not {value!r}")

    def fault(self, place: tuple[str, ...], message: str, hint: str = "", code: str = "AUTOMIO-103") -> None:
        while place and place not in self.places:
            place = place[:-1]
        line, column = self.places.get(place, (1, 1))
        source = self.lines[line - 1] if line <= len(self.lines) else ""
        self.faults.append(Diagnostic(self.path, line, column, message, code=code, hint=hint, source_line=source))


def _hint(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(word, names, n=1)
    return f"Did you mean `{close[0]}`?" if close else f"Known: {', '.join(names)}."


def _type(text: str) -> tuple[str, tuple[str, str] | None]:
    """`geo.Point` -> ("Point", ("geo", "Point")); a builtin stays as it is."""
    module, _, name = text.rpartition(".")
    return (name, (module, name)) if module else (text, None)


def _places(lines: list[str]) -> dict[tuple[str, ...], tuple[int, int]]:
    """Key path -> line and column of its key, as far as the simple shapes of a configuration go."""
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(lines, start=1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if header:
            section = _parts(header[1])
            for size in range(1, len(section) + 1):
                found.setdefault(section[:size], (number, header.start(1) + 1))
        elif key:
            path = (*section, *_parts(key[1]))
            for size in range(len(section) + 1, len(path) + 1):
                found.setdefault(path[:size], (number, key.start(1) + 1))
            for inline in _KEY.finditer(line, key.end()):
                found.setdefault((*path, *_parts(inline[1].lstrip("{, "))), (number, inline.start(1) + 1))
    return found


def _parts(text: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(text))
