"""A naive evaluator of Hasura's dialect over rows in memory, to test what the rewriting promises.

It knows the tables of tests/golden/scope/schema.graphql and nothing of organizations. Filters have SQL's three values
(None is unknown); a missing or null filter is no filter; a null or missing operand is no condition, as Hasura's switch
for null collapsing has it (the more dangerous reading).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    value_from_ast_untyped,
)

Row = dict[str, Any]
Database = dict[str, list[Row]]

ORDERS, MESSAGES, COUNTRIES, REGIONS = "app_130_orders", "app_130_messages", "app_130_countries", "app_130_regions"
COLUMNS = {
    ORDERS: ("id", "organization_id", "status", "total", "country_code"),
    MESSAGES: ("id", "organization_id", "order_id", "urgent"),
    COUNTRIES: ("code", "name", "region_code"),
    REGIONS: ("code", "name"),
}
KEYS = {ORDERS: "id", MESSAGES: "id", COUNTRIES: "code", REGIONS: "code"}
# table -> relationship -> (target, own column, target's column, is a list)
RELATIONSHIPS = {
    ORDERS: {"messages": (MESSAGES, "id", "order_id", True), "country": (COUNTRIES, "country_code", "code", False)},
    MESSAGES: {"order": (ORDERS, "order_id", "id", False)},
    COUNTRIES: {"orders": (ORDERS, "code", "country_code", True), "region": (REGIONS, "region_code", "code", False)},
    REGIONS: {"countries": (COUNTRIES, "code", "region_code", True)},
}
TENANT = (ORDERS, MESSAGES)


def run(document: DocumentNode, variables: dict[str, Any], database: Database) -> tuple[Any, Database]:
    """The answer, and the database afterwards."""
    return _Run(document, variables, copy.deepcopy(database)).answer()


class _Run:
    def __init__(self, document: DocumentNode, variables: dict[str, Any], database: Database) -> None:
        self.operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
        self.fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self.database = database
        self.made = 0
        self.variables = dict(variables)
        for definition in self.operation.variable_definitions or ():
            name = definition.variable.name.value
            if name not in self.variables and definition.default_value is not None:
                self.variables[name] = value_from_ast_untyped(definition.default_value)
        declared = {d.variable.name.value for d in self.operation.variable_definitions or ()}
        assert set(self.variables) <= declared, "unexpected variables in variableValues"

    def answer(self) -> tuple[Any, Database]:
        return {key: self.root(node) for key, node in self.fields(self.operation.selection_set)}, self.database

    def fields(self, selection_set: Any) -> list[tuple[str, FieldNode]]:
        """The selected fields by response key, fragments in their place, merged."""
        found: dict[str, list[FieldNode]] = {}
        self.collect(selection_set, found)
        merged = []
        for key, nodes in found.items():
            first = nodes[0]
            if first.selection_set and len(nodes) > 1:
                selections = tuple(s for node in nodes for s in node.selection_set.selections)  # pyright: ignore
                selection_set = copy.copy(first.selection_set)
                selection_set.selections = selections
                first = copy.copy(first)
                first.selection_set = selection_set
            merged.append((key, first))
        return merged

    def collect(self, selection_set: Any, found: dict[str, list[FieldNode]]) -> None:
        for node in selection_set.selections:
            if any(not self.passes(directive) for directive in node.directives or ()):
                continue
            if isinstance(node, FieldNode):
                found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            elif isinstance(node, FragmentSpreadNode):
                self.collect(self.fragments[node.name.value].selection_set, found)
            else:
                assert isinstance(node, InlineFragmentNode)
                self.collect(node.selection_set, found)

    def passes(self, directive: Any) -> bool:
        value = value_from_ast_untyped(directive.arguments[0].value, self.variables)
        return bool(value) == (directive.name.value == "include")

    def arguments(self, node: FieldNode) -> Row:
        out = {}
        for argument in node.arguments or ():
            kind = argument.value.kind
            if kind == "variable" and argument.value.name.value not in self.variables:  # pyright: ignore
                continue
            out[argument.name.value] = value_from_ast_untyped(argument.value, self.variables)
        return out

    # Root fields.

    def root(self, node: FieldNode) -> Any:
        name, arguments = node.name.value, self.arguments(node)
        for verb in ("insert_", "update_", "delete_"):
            if name.startswith(verb):
                return getattr(self, verb.strip("_"))(name.removeprefix(verb), arguments, node)
        if name.endswith("_by_pk"):
            table = name.removesuffix("_by_pk")
            return next((self.row(table, r, node) for r in self.by_key(table, arguments)), None)
        if name.endswith("_aggregate"):
            return self.aggregate(name.removesuffix("_aggregate"), self.database[name[:-10]], arguments, node)
        if name.endswith("_stream"):
            return self.batch(name.removesuffix("_stream"), arguments, node)
        return [self.row(name, row, node) for row in self.chosen(name, self.database[name], arguments)]

    def batch(self, table: str, arguments: Row, node: FieldNode) -> Any:
        """The first batch of a stream: rows behind the cursor, in its order."""
        cursor = arguments["cursor"]
        ((column, start),) = (cursor[0] if isinstance(cursor, list) else cursor)["initial_value"].items()
        rows = [row for row in self.database[table] if row[column] is not None and row[column] > start]
        chosen = self.chosen(table, rows, {"where": arguments.get("where"), "order_by": {column: "asc"}})
        return [self.row(table, row, node) for row in chosen[: arguments["batch_size"]]]

    def by_key(self, table: str, arguments: Row) -> list[Row]:
        key = KEYS[table]
        assert set(arguments) == {key}
        return [row for row in self.database[table] if row[key] == arguments[key]]

    def chosen(self, table: str, rows: Iterable[Row], arguments: Row) -> list[Row]:
        where = arguments.get("where")
        found = [row for row in rows if where is None or self.holds(table, where, row) is True]
        orders = arguments.get("order_by") or []
        for order in reversed(orders if isinstance(orders, list) else [orders]):
            for key, direction in order.items():
                found.sort(key=lambda row: self.rank(table, key, direction, row))
                if self.direction(direction).startswith("desc"):
                    found.reverse()
        offset = arguments.get("offset") or 0
        limit = arguments.get("limit")
        return found[offset : None if limit is None else offset + limit]

    def direction(self, direction: Any) -> str:
        return direction if isinstance(direction, str) else self.direction(next(iter(direction.values())))

    def rank(self, table: str, key: str, direction: Any, row: Row) -> Any:
        if key in RELATIONSHIPS[table]:
            target, _, _, _ = RELATIONSHIPS[table][key]
            related = self.related(table, key, row)
            inner, below = next(iter(direction.items()))
            return self.rank(target, inner, below, related[0]) if related else (1, "")
        return (row[key] is None, str(row[key]))

    # Rows.

    def related(self, table: str, name: str, row: Row) -> list[Row]:
        target, own, theirs, _ = RELATIONSHIPS[table][name]
        return [r for r in self.database[target] if row[own] is not None and r[theirs] == row[own]]

    def row(self, table: str, row: Row, node: FieldNode) -> Row:
        out: Row = {}
        for key, field in self.fields(node.selection_set):
            name = field.name.value
            if name == "__typename":
                out[key] = table
            elif name in COLUMNS[table]:
                out[key] = row[name]
            elif name.endswith("_aggregate"):
                relationship = name.removesuffix("_aggregate")
                target = RELATIONSHIPS[table][relationship][0]
                out[key] = self.aggregate(target, self.related(table, relationship, row), self.arguments(field), field)
            else:
                target, _, _, is_list = RELATIONSHIPS[table][name]
                rows = self.related(table, name, row)
                if is_list:
                    out[key] = [self.row(target, r, field) for r in self.chosen(target, rows, self.arguments(field))]
                else:
                    out[key] = self.row(target, rows[0], field) if rows else None
        return out

    def aggregate(self, table: str, rows: Iterable[Row], arguments: Row, node: FieldNode) -> Row:
        found = self.chosen(table, rows, arguments)
        out: Row = {}
        for key, field in self.fields(node.selection_set):
            if field.name.value == "nodes":
                out[key] = [self.row(table, row, field) for row in found]
            else:
                out[key] = {k: self.number(found, f) for k, f in self.fields(field.selection_set)}
        return out

    def number(self, rows: list[Row], node: FieldNode) -> Any:
        if node.name.value == "count":
            return len(rows)
        column_of = {key: field.name.value for key, field in self.fields(node.selection_set)}
        values = {key: [r[c] for r in rows if r[c] is not None] for key, c in column_of.items()}
        return {key: max(found, default=None) for key, found in values.items()}

    # Filters.

    def holds(self, table: str, where: Any, row: Row) -> bool | None:
        results: list[bool | None] = []
        for key, value in where.items():
            if key in ("_and", "_or"):
                inner = [self.holds(table, w, row) for w in (value if isinstance(value, list) else [value])]
                results.append(_all(inner) if key == "_and" else _negated(_all([_negated(r) for r in inner])))
            elif key == "_not":
                results.append(_negated(self.holds(table, value, row)))
            elif key in COLUMNS[table]:
                results.append(_compare(row[key], value))
            elif key.endswith("_aggregate"):
                results.append(self.predicate(table, key.removesuffix("_aggregate"), value, row))
            elif value is not None:
                target = RELATIONSHIPS[table][key][0]
                results.append(any(self.holds(target, value, r) is True for r in self.related(table, key, row)))
        return _all(results)

    def predicate(self, table: str, relationship: str, value: Any, row: Row) -> bool | None:
        target = RELATIONSHIPS[table][relationship][0]
        assert list(value) == ["count"]
        counted = value["count"]
        rows = self.related(table, relationship, row)
        kept = [r for r in rows if not counted.get("filter") or self.holds(target, counted["filter"], r) is True]
        return _compare(len(kept), counted["predicate"])

    # Writes.

    def response(self, table: str, rows: list[Row], node: FieldNode) -> Row:
        out: Row = {}
        for key, field in self.fields(node.selection_set):
            out[key] = len(rows) if field.name.value == "affected_rows" else [self.row(table, r, field) for r in rows]
        return out

    def insert(self, name: str, arguments: Row, node: FieldNode) -> Any:
        if name.endswith("_one"):
            table = name.removesuffix("_one")
            row = self.inserted(table, arguments["object"], {})
            return self.row(table, row, node)
        objects = arguments["objects"]
        rows = [self.inserted(name, o, {}) for o in (objects if isinstance(objects, list) else [objects])]
        return self.response(name, rows, node)

    def inserted(self, table: str, given: Row, keys: Row) -> Row:
        row = dict.fromkeys(COLUMNS[table])
        row |= {key: value for key, value in given.items() if key in row} | keys
        self.made += 1
        row[KEYS[table]] = row[KEYS[table]] or f"new {self.made}"
        self.database[table].append(row)
        for key, value in given.items():
            if key in RELATIONSHIPS[table]:
                target, own, theirs, is_list = RELATIONSHIPS[table][key]
                data = value["data"]
                if is_list:
                    for inner in data if isinstance(data, list) else [data]:
                        self.inserted(target, inner, {theirs: row[own]})
                else:
                    row[own] = self.inserted(target, data, {})[theirs]
        return row

    def update(self, name: str, arguments: Row, node: FieldNode) -> Any:
        if name.endswith("_by_pk"):
            table = name.removesuffix("_by_pk")
            rows = self.changed(self.by_key(table, arguments["pk_columns"]), arguments)
            return self.row(table, rows[0], node) if rows else None
        if name.endswith("_many"):
            table = name.removesuffix("_many")
            updates = arguments["updates"]
            return [
                self.response(table, self.changed(self.chosen(table, self.database[table], u), u), node)
                for u in (updates if isinstance(updates, list) else [updates])
            ]
        return self.response(name, self.changed(self.chosen(name, self.database[name], arguments), arguments), node)

    def changed(self, rows: list[Row], arguments: Row) -> list[Row]:
        for row in rows:
            row |= arguments.get("_set") or {}
            for column, by in (arguments.get("_inc") or {}).items():
                row[column] = None if row[column] is None else row[column] + by
        return rows

    def delete(self, name: str, arguments: Row, node: FieldNode) -> Any:
        table = name.removesuffix("_by_pk")
        rows = (
            self.by_key(table, arguments)
            if name.endswith("_by_pk")
            else self.chosen(table, self.database[table], arguments)
        )
        self.database[table] = [row for row in self.database[table] if not any(row is gone for gone in rows)]
        if name.endswith("_by_pk"):
            return self.row(table, rows[0], node) if rows else None
        return self.response(table, rows, node)


def _compare(value: Any, comparison: Any) -> bool | None:
    results: list[bool | None] = []
    for operator, operand in (comparison or {}).items():
        if operand is None:
            continue
        if operator == "_is_null":
            results.append((value is None) == operand)
        elif value is None:
            results.append(None)
        elif operator == "_in":
            results.append(value in operand)
        else:
            results.append(
                {"_eq": value == operand, "_neq": value != operand}[operator]
                if operator in ("_eq", "_neq")
                else (value > operand if operator == "_gt" else value < operand)
            )
    return _all(results)


def _all(results: Iterable[bool | None]) -> bool | None:
    found = list(results)
    if any(result is False for result in found):
        return False
    return None if any(result is None for result in found) else True


def _negated(result: bool | None) -> bool | None:
    return None if result is None else not result
