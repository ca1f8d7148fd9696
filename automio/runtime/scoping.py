"""Call + Organization -> ScopedOperation. The organization middleware, always first; next: the hooks, then transport.py.

The organization becomes a variable of the operation, never text in it, so one printed document serves every
organization. Compiled text was scoped when it was generated, ad-hoc text when it was first seen; what is left for each
call are the values: the rules of scope/values.py, then the organization itself, written last so that no variable of
the caller can stand in its place.

Only this module makes a ScopedOperation, and `Transport.send` takes nothing else, so an unscoped operation does not
type-check; the seal refuses one at run time too. Besides, `question` makes the one that is asked before a mutation: its
text is composed in scope/check.py and gives numbers only. Three kinds are let through without an organization, each by name:
the schema's introspection (it shows no rows), a document for the gateway of a caller without an organization (the server
binds it to the token's), and a document inside all_organizations().
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, final

from automio.dialect.index import SchemaIndex
from automio.dialect.scalars import SCALARS
from automio.errors import ScopeError
from automio.request import UNSET
from automio.runtime.call import BoundOperation, Call, Reach, Repeat
from automio.scope.rules import ValueRule
from automio.scope.values import apply_rules, check_organization

if TYPE_CHECKING:
    from automio.scope.check import Asked

_SEAL: Final = object()
_NO_HEADERS: Final[Mapping[str, str]] = {}
_TRANSPORTS_OWN: Final = frozenset(
    {"authorization", "x-hasura-admin-secret", "content-type", "content-length", "host", "transfer-encoding"}
)
_MOVABLE: Final = frozenset({ValueRule.INSERT, ValueRule.NESTED_INSERT, ValueRule.ON_CONFLICT})


@final
class ScopedOperation:
    """An operation that may be sent. Hooks read it; a changed one comes only from its methods.

    Not a dataclass: one is made for each call, and a frozen one takes five times as long to make.
    """

    __slots__ = ("_headers", "_operation", "_organization", "_repeat", "_variables")

    def __init__(
        self,
        seal: object,
        operation: BoundOperation,
        variables: Mapping[str, Any],
        organization: int | None,
        repeat: Repeat,
        headers: Mapping[str, str],
    ) -> None:
        if seal is not _SEAL:
            raise ScopeError("an operation can be made by automio.runtime.scoping alone")
        self._operation = operation
        self._variables = variables
        self._organization = organization
        self._repeat = repeat
        self._headers = headers

    @property
    def operation(self) -> BoundOperation:
        """Name, kind, text, app, table and source; the same object for every call of an operation."""
        return self._operation

    @property
    def variables(self) -> Mapping[str, Any]:
        """What is sent, the organization included."""
        return self._variables

    @property
    def organization(self) -> int | None:
        """None for a document that is sent as written, and where the schema has no organizations."""
        return self._organization

    @property
    def repeat(self) -> Repeat:
        return self._repeat

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that hooks added; credentials are the transport's own."""
        return self._headers

    def __repr__(self) -> str:
        return f"ScopedOperation({self._operation.source}, organization={self._organization})"

    def with_header(self, name: str, value: str) -> ScopedOperation:
        """The same operation with one more HTTP header (tracing, request ids). Credentials can't be replaced this way."""
        if name.lower() in _TRANSPORTS_OWN:
            raise ValueError(f"the header {name} belongs to the transport")
        headers = {**self._headers, name: value}
        return ScopedOperation(_SEAL, self._operation, self._variables, self._organization, self._repeat, headers)

    def moved(self, variables: Mapping[str, Any]) -> ScopedOperation:
        """The same stream from another place: of `variables`, those of its cursor count, and nothing else changes."""
        cursor = self._operation.cursor
        names = {name for _, name in cursor.variables} | {cursor.whole} - {""} if cursor is not None else set[str]()
        values = {**self._variables, **{name: value for name, value in variables.items() if name in names}}
        return ScopedOperation(_SEAL, self._operation, values, self._organization, self._repeat, self._headers)


def scope(call: Call) -> ScopedOperation:
    """What is sent for a call. Raises ScopeError, and then nothing is sent."""
    operation, variables, organization, reach, python_names, repeat = call
    if reach is not Reach.ORGANIZATION:
        given = {name: value for name, value in variables.items() if value is not UNSET}
        return ScopedOperation(_SEAL, operation, given, None, repeat, _NO_HEADERS)
    index = operation.index
    if index is None:
        raise ScopeError("the operation has no index of its tables")
    if index.tenant_column is not None:
        organization = check_organization(organization)
    if operation.rules:
        sent = apply_rules(operation.rules, variables, organization, index, python_names=python_names)
    else:
        sent = {name: value for name, value in variables.items() if value is not UNSET}
    for name in operation.dropped:
        sent.pop(name, None)
    if operation.renamed is not None:
        _rename_constraints(operation, sent)
    if operation.scope_variable is not None:
        sent[operation.scope_variable] = organization
    return ScopedOperation(_SEAL, operation, sent, organization, repeat, _NO_HEADERS)


def introspection(text: str, name: str, app: str, table: str) -> ScopedOperation:
    """The schema's own description: no row is in it, so it needs no organization. `text` comes from graphql-core."""
    operation = BoundOperation(name=name, kind="query", text=text, app=app, table=table, source="introspection")
    return ScopedOperation(_SEAL, operation, {}, None, Repeat.WHEN_SAFE, _NO_HEADERS)


def question(operation: ScopedOperation) -> tuple[ScopedOperation, Asked] | None:
    """What is asked before a mutation, with its headers and in its organization; None when nothing has to be."""
    check = operation.operation.check
    if check is None:
        return None
    asked = check.prepared.ask(operation.variables, operation.organization)
    if asked is None:
        return None
    repeat = Repeat.NEVER if operation.repeat is Repeat.NEVER else Repeat.WHEN_SAFE
    sent = ScopedOperation(_SEAL, check.operation, asked.variables, operation.organization, repeat, operation.headers)
    return sent, asked


def _rename_constraints(operation: BoundOperation, variables: dict[str, Any]) -> None:
    """Constraints are named after their app; in another installation the generated name stands for the same one there.

    They stand in on_conflict objects, and alone as the value of a variable of an enum's type (`upsert_many`).
    """
    assert operation.renamed is not None and operation.index is not None
    old, _ = operation.renamed
    ruled: set[str] = set()
    for rule in operation.rules:
        ruled.add(rule.target)
        if rule.kind in _MOVABLE and rule.target in variables:
            value = variables[rule.target]
            if rule.kind is ValueRule.INSERT:
                value = _rows(value, rule.table, operation.index, operation.renamed)
            elif rule.kind is ValueRule.NESTED_INSERT:
                value = _nested(value, rule.table, operation.index, operation.renamed)
            else:
                value = _conflict(value, operation.renamed)
            variables[rule.target] = value
    for name, value in variables.items():
        if name not in ruled and type(value) is str and old in value and not _is_scalar(operation.text, name):
            variables[name] = value.replace(*operation.renamed)


def _is_scalar(text: str, variable: str) -> bool:
    """True when the document declares the variable as text of any kind; a constraint is an enum's value."""
    declared = re.search(rf"\${variable}\s*:\s*(\w+)", text)
    return declared is None or declared[1] in SCALARS


def _rows(value: Any, table: str, index: SchemaIndex, renamed: tuple[str, str]) -> Any:
    if isinstance(value, list):
        return [_rows(inner, table, index, renamed) for inner in value]
    relationships = index.tables[table].relationships
    if not isinstance(value, dict) or not (below := value.keys() & relationships.keys()):
        return value
    return value | {key: _nested(value[key], relationships[key].table, index, renamed) for key in below}


def _nested(value: Any, table: str, index: SchemaIndex, renamed: tuple[str, str]) -> Any:
    if not isinstance(value, dict):
        return value
    out = dict(value)
    if "data" in out:
        out["data"] = _rows(out["data"], table, index, renamed)
    for name in ("on_conflict", "onConflict"):
        if name in out:
            out[name] = _conflict(out[name], renamed)
    return out


def _conflict(value: Any, renamed: tuple[str, str]) -> Any:
    if isinstance(value, dict) and isinstance(name := value.get("constraint"), str):
        return {**value, "constraint": name.replace(*renamed)}
    return value
