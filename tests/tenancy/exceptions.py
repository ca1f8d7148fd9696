"""What the reference lists as different (sections 5.7 and 8), as rules over the document's notes and the rows of D.

An example that falls under a rule is still checked for W; it is not compared with D|o.
"""

from __future__ import annotations

from typing import Any

from automio.engine.catalog import Access, Catalog, ForeignKey

from .documents import ORGANIZATION, Writer
from .schemas import OWN

Rows = dict[str, list[dict[str, Any]]]


def takes_a_global_key(writer: Writer, catalog: Catalog, rows: Rows) -> bool:
    """§8.1: a value for a unique key without the organization that a row of others has."""
    for table, given in (*writer.inserted, *writer.changed):
        facts = catalog.tables[table]
        for key in facts.keys:
            parts = [name for name in key.columns if given.get(name) is not None]
            if ORGANIZATION in key.columns or not parts or facts.access is not Access.TENANT:
                continue
            if any(all(row[name] == given[name] for name in parts) for row in _foreign(rows, table)):
                return True
    return False


def names_a_foreign_row(writer: Writer, catalog: Catalog, rows: Rows) -> bool:
    """§5.7: a foreign key's value that is the key of a row of others."""
    for table, given in (*writer.inserted, *writer.changed):
        for key in catalog.tables[table].foreign_keys:
            parts = [(a, b) for a, b in key.pairs if a != ORGANIZATION and given.get(a) is not None]
            if not _is_loose(key, catalog) or not parts:
                continue
            if any(all(row[b] == given[a] for a, b in parts) for row in _foreign(rows, key.target)):
                return True
    return False


def upserts_a_crossing_row(writer: Writer, catalog: Catalog, rows: Rows) -> bool:
    """§5.7: an upsert into a table with an own row whose foreign key already names a row of others. The engine's lock looks at
    the keys of every row that an upsert wrote, also where its update arm left them as they were, and refuses."""
    for table in writer.upserted:
        own = [row for row in rows.get(table, []) if row.get(ORGANIZATION) == OWN]
        for key in catalog.tables[table].foreign_keys:
            foreign = _foreign(rows, key.target)
            if _is_loose(key, catalog) and any(
                all(row[a] == one[b] for a, b in key.pairs) for row in own for one in foreign
            ):
                return True
    return False


def reaches_foreign_rows(writer: Writer, catalog: Catalog, rows: Rows) -> bool:
    """§5.7: rows of others refer to rows of a table that loses rows, or keys, by the document; at any depth of cascades. So do
    shared rows that a cascade would change."""
    gone, waiting = set[str](), [*writer.deleted, *writer.rekeyed]
    while waiting:
        table = waiting.pop()
        if table in gone:
            continue
        gone.add(table)
        own = [row for row in rows.get(table, []) if row.get(ORGANIZATION, OWN) == OWN]
        for key in catalog.foreign_keys_to(table):
            shared = catalog.tables[key.table].access is Access.SHARED and (key.on_delete or key.on_update)
            theirs = rows[key.table] if shared else _foreign(rows, key.table) if _is_loose(key, catalog) else []
            if any(all(row[a] == one[b] for a, b in key.pairs) for row in theirs for one in own):
                return True
            if key.on_delete == "CASCADE" or key.on_update == "CASCADE":
                waiting.append(key.table)
    return False


def changes_dangling_rows_twice(writer: Writer, catalog: Catalog, alone: Rows) -> bool:
    """§2: D|o has rows whose foreign key dangles. PostgreSQL looks at an unchanged key again when one transaction changes a row
    for the second time, and then the whole mutation fails on D|o alone."""
    touched = [table for table, _ in (*writer.inserted, *writer.changed)]
    for table in {one for one in touched if touched.count(one) > 1}:
        for key in catalog.tables[table].foreign_keys:
            known = [tuple(row[b] for _, b in key.pairs) for row in alone.get(key.target, [])]
            for row in alone.get(table, []):
                value = tuple(row[a] for a, _ in key.pairs)
                if None not in value and value not in known:
                    return True
    return False


def _is_loose(key: ForeignKey, catalog: Catalog) -> bool:
    """Between tenant tables, and does not compare the organizations."""
    ends = (catalog.tables[key.table], catalog.tables[key.target])
    return (ORGANIZATION, ORGANIZATION) not in key.pairs and all(one.access is Access.TENANT for one in ends)


def _foreign(rows: Rows, table: str) -> list[dict[str, Any]]:
    return [row for row in rows.get(table, []) if ORGANIZATION in row and row[ORGANIZATION] != OWN]
