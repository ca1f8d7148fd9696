"""Predicates and orders -> SQL. Used by render.py, whose statements they stand in.

`Rooted` names the row that a permission's `["$", column]` means: the one whose permission it is, however deep the condition
stands. What an order finds behind relationships is a subquery, so a row that the caller may not see orders like a missing one.
"""

from __future__ import annotations

from automio.engine import sql
from automio.engine.plan_types import (
    AggregateTest,
    Anything,
    ColumnComparison,
    Comparison,
    Everything,
    Exists,
    IsNull,
    Negation,
    Order,
    Predicate,
    Rooted,
)


class Conditions(sql.Writer):
    """sql.Writer with conditions and orders. `root` is the alias of the row that `Rooted` means."""

    root = ""

    def predicate(self, predicate: Predicate, alias: str, top: bool = False) -> str:
        """The condition on the row with this alias; in parentheses where needed, unless it stands alone (`top`)."""
        match predicate:
            case Everything() | Anything():
                word = " AND " if isinstance(predicate, Everything) else " OR "
                parts = [self.predicate(one, alias) for one in predicate.of]
                if not parts:
                    return "TRUE" if isinstance(predicate, Everything) else "FALSE"
                return word.join(parts) if top and word == " AND " else f"({word.join(parts)})"
            case Negation():
                return f"(NOT {self.predicate(predicate.of, alias)})"
            case Rooted():
                outer, self.root = self.root, alias
                text = self.predicate(predicate.of, alias, top)
                self.root = outer
                return text
            case ColumnComparison():
                column = self._column(predicate, alias)
                other = f"{self.root if predicate.root else alias}.{sql.name(predicate.other)}"
                return f"({sql.OPERATORS[predicate.operator].format(column, other)})"
            case IsNull():
                column = self._column(predicate, alias)
                return f"({column} IS {'' if predicate.null else 'NOT '}NULL)"
            case Comparison():
                column, value = self._column(predicate, alias), self.bind(predicate.value)
                value = sql.late(value, predicate.value) if predicate.late else value
                return f"({sql.OPERATORS[predicate.operator].format(column, value)})"
            case Exists():
                inner = self.alias()
                return f"EXISTS (SELECT FROM {self._related(predicate, inner, alias)})"
            case AggregateTest():
                inner, value = self.alias(), self.alias()
                columns = tuple(f"{inner}.{sql.name(one)}" for one in predicate.call.columns)
                called = sql.call(predicate.call, columns)
                rows = f"SELECT {called} AS value FROM {self._related(predicate, inner, alias)}"
                return f"EXISTS (SELECT FROM ({rows}) AS {value} WHERE {self.predicate(predicate.predicate, value, top=True)})"

    def _column(self, predicate: Comparison | ColumnComparison | IsNull, alias: str) -> str:
        column = f"{alias}.{sql.name(predicate.column)}"
        return f"{column}::{sql.type_name(predicate.cast)}" if predicate.cast else column

    def _related(self, predicate: Exists | AggregateTest, inner: str, outer: str) -> str:
        relation = self.relation(predicate.table)
        conditions = [f"{inner}.{sql.name(there)} = {outer}.{sql.name(here)}" for here, there in predicate.pairs]
        if predicate.where != Everything():
            conditions.append(self.predicate(predicate.where, inner))
        return f"{relation} AS {inner} WHERE {' AND '.join(conditions) or 'TRUE'}"

    def order(self, order: Order, alias: str) -> str:
        """An ORDER BY term; what lies behind relationships is a subquery, so a foreign row orders like a missing one."""
        return f"{self._ordered(order, 0, alias)} {sql.DIRECTIONS[order.direction]}"

    def _ordered(self, order: Order, depth: int, alias: str) -> str:
        if depth == len(order.hops):
            if order.call is None:
                return f"{alias}.{sql.name(order.column)}"
            return sql.call(order.call, (f"{alias}.{sql.name(order.column)}",) if order.column else ())
        hop, inner = order.hops[depth], self.alias()
        relation = self.relation(hop.table)
        value = self._ordered(order, depth + 1, inner)
        same = " AND ".join(f"{inner}.{sql.name(there)} = {alias}.{sql.name(here)}" for here, there in hop.pairs)
        return f"(SELECT {value} FROM {relation} AS {inner} WHERE {same})"
