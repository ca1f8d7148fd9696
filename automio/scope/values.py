"""Rules + the caller's variables -> the variables that are sent. Runs at each call; turning.py does one value.

Generated modules load this one: no import of graphql-core, and the common case (a small filter) is a handful of
dictionary look-ups. The caller's objects are never changed.

Absent, null and empty are three things (the table in rules.py). For filters:
- a filter as a whole may be null or absent in a query: no filter. Inside a filter null is refused everywhere, since
  Hasura can read it as "true".
- in an update or delete, a filter that is absent, null, or surely true (`{}`, `{"_and": []}`, `{"status": {}}`) is
  refused. `all_rows()` says "every row of the organization" where a filter as a whole stands.
- UNSET inside a row means "not given"; inside a filter it is refused: the reader could not tell which rows are meant.

Keys: exact GraphQL names always; with `python_names` also the snake_case names that generated types show. A key that the
index doesn't know is refused, not passed on: it could be a computed field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from automio.errors import ScopeError
from automio.request import UNSET
from automio.scope import refusals
from automio.scope.rules import Missing, Rule, ValueRule, retarget
from automio.scope.turning import ALL_ROWS, AllRows, Turning, all_rows, python_fields

if TYPE_CHECKING:
    from automio.dialect.index import SchemaIndex

__all__ = [
    "ALL_ROWS",
    "AllRows",
    "Missing",
    "Rule",
    "ValueRule",
    "all_rows",
    "apply_rules",
    "changed",
    "check_organization",
    "python_fields",
    "retarget",
]


def check_organization(value: object) -> int:
    """`value` when it can be an organization: an int (not a bool) of 32 bits, 0 included. Else ScopeError."""
    if value is None or value is UNSET:
        raise refusals.no_organization()
    if type(value) is not int or not -(2**31) <= value <= 2**31 - 1:
        raise refusals.not_an_organization()
    return value


def changed(**given: Any) -> dict[str, Any]:
    """The variables of an update that has several ways to change a row (`set`, `inc`, …), each of which may be left out.

    All left out or None is a ScopeError: it is a call that was put together wrongly, and the server's refusal would come
    a request later. An empty object counts as given; the server then changes nothing.
    """
    if all(value is UNSET or value is None for value in given.values()):
        raise refusals.no_change(given)
    return given


def apply_rules(
    rules: Iterable[Rule],
    variables: Mapping[str, Any],
    organization: int | None,
    index: SchemaIndex,
    *,
    python_names: bool,
) -> dict[str, Any]:
    """The variables to send, as a new dict. The scope variable itself is not among them: the caller adds it last.

    Variables without a rule go through unchanged, UNSET ones are left out, and so are those whose last use vanished.
    Raises ScopeError; its path starts with the variable (`$where.order.total`).
    """
    if index.tenant_column is not None:
        check_organization(organization)
    sent = {name: value for name, value in variables.items() if value is not UNSET}
    rules = tuple(rules)
    for rule in rules:
        sent.pop(rule.variable, None)
        sent.pop(rule.target, None)
    call = Turning(index, organization, python_names)
    for rule in rules:
        try:
            _apply(call, rule, variables, sent)
        except ScopeError as error:
            error.path = f"${rule.variable}{error.path}" if rule.variable else rule.place
            raise
        except RecursionError:
            raise refusals.broken("the value is nested too deeply", f"${rule.variable}") from None
    return sent


def _apply(call: Turning, rule: Rule, variables: Mapping[str, Any], sent: dict[str, Any]) -> None:
    value = variables.get(rule.variable, UNSET)
    authored = value is UNSET and rule.default != ""
    if authored:
        value = json.loads(rule.default)
    if value is UNSET or value is None:
        missing = rule.missing
        if missing is Missing.EMPTY:
            sent[rule.target] = {}
        elif missing is Missing.KEEP:
            if value is None and rule.target:
                sent[rule.target] = None
        elif missing is Missing.REFUSE or value is None:
            raise _refuse_missing(rule.kind, value is None)
        return
    call.allowed = rule.allowed
    call.authored = authored
    result = _HANDLERS[rule.kind](call, rule, value)
    if rule.target:
        sent[rule.target] = result


def _refuse_missing(kind: ValueRule, is_null: bool) -> ScopeError:
    if kind in (ValueRule.COMPARISON, ValueRule.COMPARISON_EXP):
        return refusals.null_comparison() if is_null else refusals.absent_comparison()
    if kind is ValueRule.REQUIRED_FILTER:
        return refusals.absent_filter()
    if kind in (ValueRule.KEY, ValueRule.PK_COLUMN):
        return refusals.missing_key()
    if kind is ValueRule.OWN_ORGANIZATION:
        return refusals.cannot_be_changed()
    if kind in _FILTERS:
        return refusals.null_filter() if is_null else refusals.absent_comparison()
    return refusals.missing_value()


_FILTERS = frozenset(
    {
        ValueRule.BOOL_EXP,
        ValueRule.BOOL_EXPS,
        ValueRule.SCOPED_BOOL_EXP,
        ValueRule.AGGREGATE_BOOL_EXP,
        ValueRule.AGGREGATE_PREDICATE,
    }
)

_HANDLERS: dict[ValueRule, Callable[[Turning, Rule, Any], Any]] = {
    ValueRule.AS_IS: lambda call, rule, value: value,
    ValueRule.BOOL_EXP: lambda call, rule, value: call.bool_exp(rule.table, value),
    ValueRule.BOOL_EXPS: lambda call, rule, value: call.bool_exps(rule.table, value),
    ValueRule.SCOPED_BOOL_EXP: lambda call, rule, value: call.scoped(rule.table, value),
    ValueRule.REQUIRED_FILTER: lambda call, rule, value: call.required(rule.table, value),
    ValueRule.AGGREGATE_BOOL_EXP: lambda call, rule, value: call.aggregate_bool_exp(rule.table, value),
    ValueRule.AGGREGATE_PREDICATE: lambda call, rule, value: call.aggregate_predicate(rule.table, value),
    ValueRule.COMPARISON_EXP: lambda call, rule, value: call.comparison(value),
    ValueRule.COMPARISON: lambda call, rule, value: value,
    ValueRule.KEY: lambda call, rule, value: value,
    ValueRule.PK_COLUMN: lambda call, rule, value: call.pk_column(rule.table, rule.column, value),
    ValueRule.ORDER_BY: lambda call, rule, value: call.order_by(rule.table, value),
    ValueRule.COLUMNS: lambda call, rule, value: call.columns(rule.table, value),
    ValueRule.REPLACED: lambda call, rule, value: call.replaced(rule.table, value),
    ValueRule.CURSOR: lambda call, rule, value: call.cursor(rule.table, value),
    ValueRule.INSERT: lambda call, rule, value: call.insert(rule.table, value),
    ValueRule.NESTED_INSERT: lambda call, rule, value: call.nested_insert(rule.table, value),
    ValueRule.ON_CONFLICT: lambda call, rule, value: call.on_conflict(rule.table, value),
    ValueRule.SET: lambda call, rule, value: call.set(rule.table, value),
    ValueRule.OPERATOR: lambda call, rule, value: call.operator(rule.table, value),
    ValueRule.UPDATES: lambda call, rule, value: call.updates(rule.table, value),
    ValueRule.OWN_ORGANIZATION: lambda call, rule, value: call.own_organization(value),
}
