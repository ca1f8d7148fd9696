"""Declared references -> what the schema can hold of them: `Reference`s, or why not. Called by read.py and codegen/overrides.py.

A schema doesn't say which column is a foreign key, so a project declares it (`[tables."x"] references`). A reference can
be checked towards a server when the schema offers an aggregate over the referenced table, which counts, and a
relationship from there back, which finds the rows that refer. `via` may be left out when one array relationship leads back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from automio.dialect.index import Reference, Root, RootKind, Table


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a reference cannot be held. `hint` may be ""; `of` is the name that is wrong and `known` what it may have meant."""

    message: str
    hint: str = ""
    of: str = ""
    known: tuple[str, ...] = ()


def resolve(
    table: Table,
    column: str,
    declared: Reference,
    tables: Mapping[str, Table],
    queries: Mapping[str, Root],
    tenant_column: str,
) -> Reference | Fault:
    """The reference with its way back. `tables` hold the referenced table when the schema has it."""
    if column not in table.columns:
        return Fault(f"{table.type} has no column {column!r}", of=column, known=tuple(table.columns))
    target = tables.get(declared.table)
    if target is None:
        return Fault(f"the schema has no table {declared.table!r}", of=declared.table, known=tuple(tables))
    if declared.key not in target.columns:
        return Fault(f"{target.type} has no column {declared.key!r}", of=declared.key, known=tuple(target.columns))
    if tenant_column not in target.columns:
        message = f"{target.type} is shared by all organizations, so a reference to it needs no check"
        return Fault(message, "Leave it out.")
    if not _is_unique(target, declared.key, tenant_column):
        return Fault(f"{declared.key!r} is not unique in {target.type}", "A foreign key leads to a unique column.")
    if not any(root.kind is RootKind.AGGREGATE and root.table == target.type for root in queries.values()):
        message = f"the schema has no aggregate over {target.type}, so references to it cannot be checked"
        return Fault(message, "Let the role aggregate this table, and `automio pull`.")
    back = [r for r in target.relationships.values() if r.table == table.type and r.name not in target.other]
    if declared.via:
        if any(r.name == declared.via for r in back):
            return declared
        message = f"{target.type} has no relationship {declared.via!r} to {table.type}"
        return Fault(message, of=declared.via, known=tuple(r.name for r in back))
    arrays = [r.name for r in back if r.kind == "array"]
    if len(arrays) == 1:
        return Reference(declared.table, declared.key, arrays[0])
    written = f"{declared.table}.{declared.key}"
    if arrays:
        message = f"{len(arrays)} relationships lead from {target.type} to {table.type}"
        return Fault(message, f"Name the one of this column: {_choices(written, arrays)}.")
    message = f"no relationship leads from {target.type} back to {table.type}"
    return Fault(message, "Track the array relationship, and `automio pull`: rows that refer are found through it.")


def _choices(written: str, names: Iterable[str]) -> str:
    return " or ".join(f'"{written} via {name}"' for name in sorted(names))


def _is_unique(table: Table, key: str, tenant_column: str) -> bool:
    """False only when the schema names the columns of every key of the table, and none is this column (in an organization)."""
    known = list(table.constraints.values())
    if not known or not all(known):
        return True
    return any(key in columns and set(columns) <= {key, tenant_column} for columns in [table.primary_key, *known])
