"""Rule: what happens to one variable of the caller at each call. Made by walk.py, carried out by values.py.

A document is rewritten once, without values. What stands in its variables has the same grammar as what stands in the
text, so for each variable that can name rows (or must not be null) the walk leaves a rule. One variable that stands at
two places with different needs has two rules with two targets: it is sent twice, under two names.

`repr` of a rule is Python source: generated modules carry rules as they are printed. No import of graphql-core here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum


class Printed(Enum):
    """An enum whose `repr` is Python source."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


class ValueRule(Printed):
    """What kind of value it is. `T` is the rule's table."""

    AS_IS = "as_is"
    """Sent unchanged; stands beside another rule of the same variable."""
    BOOL_EXP = "bool_exp"
    """A filter on T: what lies below relationships is scoped. The document wraps the filter itself."""
    BOOL_EXPS = "bool_exps"
    """A list of filters on T, or one."""
    SCOPED_BOOL_EXP = "scoped_bool_exp"
    """A filter on related rows of T: wrapped here, since an absent one must stay absent."""
    REQUIRED_FILTER = "required_filter"
    """A filter (or list of filters) that decides what an update or delete touches: `{}` is refused, all_rows() is not."""
    AGGREGATE_BOOL_EXP = "aggregate_bool_exp"
    """Predicates over the aggregate of related rows of T: each one's filter is scoped."""
    AGGREGATE_PREDICATE = "aggregate_predicate"
    """One of these: {predicate, filter, …}."""
    COMPARISON_EXP = "comparison_exp"
    """`{_eq: …}`: no operand may be null."""
    COMPARISON = "comparison"
    """An operand of a comparison."""
    KEY = "key"
    """A part of a key."""
    PK_COLUMN = "pk_column"
    """The part `column` of a key that the caller gives as one object."""
    ORDER_BY = "order_by"
    """An order on T, or a list: never through a relationship to tenant rows."""
    COLUMNS = "columns"
    """Names of columns of T."""
    REPLACED = "replaced"
    """Names of columns of T that an upsert replaces: a key that others refer to is none of them."""
    CURSOR = "cursor"
    """A stream's cursor on T."""
    INSERT = "insert"
    """A row of T or a list of rows, with rows of related tables below: the organization is filled in at each."""
    NESTED_INSERT = "nested_insert"
    """{data, on_conflict} for related rows of T."""
    ON_CONFLICT = "on_conflict"
    """{constraint, update_columns, where} on T: only own rows are updated."""
    SET = "set"
    """New values of columns of T: the organization is none of them, unless it is the caller's own."""
    OPERATOR = "operator"
    """_inc and its like on T: the organization is none of them."""
    UPDATES = "updates"
    """{where, _set, …} on T, or a list."""
    OWN_ORGANIZATION = "own_organization"
    """Equal to the organization, or null or absent where `missing` allows it."""


class Missing(Printed):
    """What an absent value and a null become."""

    KEEP = "keep"
    """Absent stays absent, null stays null."""
    EMPTY = "empty"
    """Both become `{}`: a list without a filter."""
    OPTIONAL = "optional"
    """Absent stays absent (no condition), null is refused."""
    REFUSE = "refuse"
    """Both are refused."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One variable's treatment. `variable` is the caller's name, `target` the name sent ("" when it only checks).

    `table` is a row type. `default` is the document's default as JSON text, "" when there is none; it counts as written
    by the document's author. `allowed` is what the policy lets values use. `place` is where in the document it stands,
    kept where the variable alone would not tell: `variable` is "" for a literal that is checked at each call.
    """

    variable: str
    kind: ValueRule
    table: str = ""
    target: str = ""
    missing: Missing = Missing.KEEP
    column: str = ""
    default: str = ""
    allowed: tuple[str, ...] = ()
    place: str = ""

    def __repr__(self) -> str:
        shown = [repr(self.variable), repr(self.kind)]
        shown += [
            f"{name}={value!r}"
            for name in ("table", "target", "missing", "column", "default", "allowed", "place")
            if (value := getattr(self, name)) not in ("", (), Missing.KEEP)
        ]
        return f"Rule({', '.join(shown)})"


def retarget(rules: Iterable[Rule], old: str, new: str) -> tuple[Rule, ...]:
    """The rules for another installation: `retarget(rules, "app_130_", "app_131_")`. Row types and constraints change."""
    return tuple(
        replace(
            rule,
            table=rule.table.replace(old, new),
            default=rule.default.replace(old, new),
            allowed=tuple(name.replace(old, new) for name in rule.allowed),
            place=rule.place.replace(old, new),
        )
        for rule in rules
    )
