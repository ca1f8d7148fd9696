"""An operation's text -> Explanation: what is sent instead of it, and why. Used by cli/explain.py.

An operation of the project is explained as `generate` compiles it: with aliases that hide the app's id. Any other text
(a file elsewhere, stdin) is explained as `api.tables.execute` sends it, under the keys that it has. Either goes through
the one scoping walk; here its rules, its plan and its reasons are only put into words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLSchema,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    Source,
    get_named_type,
    parse,
    print_ast,
    type_from_ast,
)

from automio.codegen.compiled import check_text, compile_functions
from automio.codegen.config import CodegenConfig
from automio.codegen.groundwork import policy_of
from automio.codegen.operations import (
    Context,
    Findings,
    Located,
    OperationIR,
    Queries,
    first_root,
    parse_queries,
    reached_roots,
    resolve,
    resolve_document,
    schema_of,
)
from automio.codegen.sources import SourceFile
from automio.dialect.index import SchemaIndex
from automio.dialect.names import split_app
from automio.dialect.read import index_schema
from automio.dialect.sdl import Sdl, diagnostic
from automio.errors import CodegenError, ConfigError
from automio.scope.check import Given, Gives, Guard
from automio.scope.reshape import Action, Step
from automio.scope.rules import Missing, Rule, ValueRule
from automio.scope.walk import ScopedDocument

_WORDS = {
    ValueRule.AS_IS: "sent as it is",
    ValueRule.BOOL_EXP: "a filter on {table}: what it says about related rows is limited to the organization",
    ValueRule.BOOL_EXPS: "filters on {table}: what they say about related rows is limited to the organization",
    ValueRule.SCOPED_BOOL_EXP: "a filter on related rows of {table}: limited to the organization",
    ValueRule.REQUIRED_FILTER: "decides which rows of {table} are changed: an empty filter is refused, all_rows() is not",
    ValueRule.AGGREGATE_BOOL_EXP: "a filter by numbers over {table}: only rows of the organization are counted",
    ValueRule.AGGREGATE_PREDICATE: "one number over {table}: only rows of the organization are counted",
    ValueRule.COMPARISON_EXP: "a comparison: none of its operands may be null",
    ValueRule.COMPARISON: "an operand of a comparison",
    ValueRule.KEY: "a part of a key",
    ValueRule.PK_COLUMN: "the key as an object: its {column} is taken out",
    ValueRule.ORDER_BY: "an order on {table}: one that ranks by rows of other organizations is refused",
    ValueRule.COLUMNS: "names of columns of {table}",
    ValueRule.REPLACED: "names of columns of {table} to replace: a key that others refer to is none of them",
    ValueRule.CURSOR: "the cursor of a stream of {table}",
    ValueRule.INSERT: "rows for {table}: the organization is filled in, in related rows too; another one is refused",
    ValueRule.NESTED_INSERT: "related rows for {table}: the organization is filled in; another one is refused",
    ValueRule.ON_CONFLICT: "what happens to rows of {table} that exist: only the organization's own are updated",
    ValueRule.SET: "new values for {table}: the organization cannot be among them, unless it is the caller's own",
    ValueRule.OPERATOR: "changes of columns of {table}: the organization cannot be among them",
    ValueRule.UPDATES: "updates of {table}: each filter is limited to the organization, none may change it",
    ValueRule.OWN_ORGANIZATION: "must be the caller's own organization",
}
_MISSING = {
    Missing.KEEP: "",
    Missing.EMPTY: "absent or null means no condition",
    Missing.OPTIONAL: "absent means no condition, null is refused",
    Missing.REFUSE: "absent or null is refused",
}
_SAMPLES: Mapping[str, Any] = {
    "Int": 1,
    "smallint": 1,
    "bigint": 1,
    "Float": 1.5,
    "float8": 1.5,
    "numeric": 1,
    "Boolean": True,
    "uuid": "00000000-0000-0000-0000-000000000000",
    "timestamptz": "2000-01-01T00:00:00Z",
    "timestamp": "2000-01-01T00:00:00",
    "date": "2000-01-01",
    "time": "00:00:00",
    "timetz": "00:00:00Z",
    "interval": "1 day",
    "json": {},
    "jsonb": {},
    "bytea": "\\x00",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One operation and what becomes of it."""

    name: str
    source: str
    written: str
    scoped: ScopedDocument
    index: SchemaIndex
    schema: GraphQLSchema
    document: DocumentNode

    @property
    def variables(self) -> list[tuple[str, str, list[str]]]:
        """Each variable with its type and what is done to it; the organization's last."""
        scoped, found = self.scoped, []
        for definition in _operation(self.document).variable_definitions or ():
            name = definition.variable.name.value
            rules = [rule for rule in scoped.rules if rule.variable == name]
            if name == scoped.scope_variable:
                continue
            said = [words(rule) for rule in rules]
            if name in scoped.dropped:
                said.append("not sent: nothing uses it any more")
            found.append((name, print_ast(definition.type), said or ["sent as it is"]))
        if scoped.scope_variable:
            sent = _operation(scoped.document).variable_definitions or ()
            type_ = next(print_ast(d.type) for d in sent if d.variable.name.value == scoped.scope_variable)
            found.append((scoped.scope_variable, type_, ["the caller's organization, from the scope"]))
        return found

    @property
    def checks(self) -> list[str]:
        """Literals of the document that are checked at each call."""
        return [f"{rule.place}: {words(rule)}" for rule in self.scoped.rules if not rule.variable]

    @property
    def asked(self) -> str:
        """The query that is sent before it, "" when there is none."""
        return check_text(self.scoped, self.index)

    @property
    def asked_for(self) -> list[str]:
        """What that query is about."""
        check = self.scoped.check
        if check is None:
            return []
        return [*dict.fromkeys(given_words(one) for one in check.given), *map(guard_words, check.guards)]

    @property
    def plan(self) -> list[str]:
        """What is done to the answer, in order; [] when it is returned as it comes."""
        return [step_words(step) for step in self.scoped.plan]


def explain(
    sdl: Sdl,
    queries: Iterable[SourceFile],
    target: SourceFile,
    config: CodegenConfig,
    *,
    operation: str = "",
) -> list[Explanation]:
    """The operations of `target`, or the one that is named. Fragments may stand in any of the `queries`.

    Raises ConfigError when there is no such operation, CodegenError with every fault, those of scoping included.
    """
    findings = Findings()
    queries = tuple(queries)
    ours = any(file.path == target.path for file in queries)
    known = parse_queries(queries, Findings())
    written = _operations(target)
    fragments = {**known.fragments, **{found.name: found for found in written if _is_fragment(found)}}
    chosen = [found for found in written if not _is_fragment(found) and operation in ("", found.name)]
    if not chosen:
        names = ", ".join(found.name or "one without a name" for found in written if not _is_fragment(found))
        what = f"has no operation {operation!r}" if operation else "has no operation"
        raise ConfigError(f"{target.path} {what}", hint=f"There: {names}." if names else None)
    explained: list[Explanation] = []
    for located in chosen:
        explained += _explain(located, Queries((located,), fragments), sdl, config, findings, ours)
    if findings.errors:
        raise CodegenError(findings.errors)
    return explained


def explain_function(sdl: Sdl, queries: Iterable[SourceFile], name: str, config: CodegenConfig) -> Explanation:
    """The operation of a generated function, `app_130.orders.find` or `orders.find`, derived or written.

    Raises ConfigError when there is none of this name, or several.
    """
    compiled = compile_functions(sdl, queries, config)
    names = {known: package for package in compiled.packages for known in package.functions}
    found = [known for known in names if known == name or known.partition(".")[2] == name]
    if len(found) != 1:
        if found:
            raise ConfigError(f"several functions are called {name}", hint=f"Name one: {', '.join(found)}.")
        shown = {known if name.count(".") > 1 else known.partition(".")[2]: None for known in names}
        close = get_close_matches(name, shown, n=3)
        raise ConfigError(
            f"there is no file and no function {name}", hint=f"Did you mean {', '.join(close)}?" if close else None
        )
    package = names[found[0]]
    return _explanation(package.functions[found[0]].operation, package.index, package.schema)


def words(rule: Rule) -> str:
    """A rule as a sentence without its end."""
    text = _WORDS[rule.kind].format(table=rule.table, column=rule.column)
    more = [_MISSING[rule.missing]]
    if rule.kind in (ValueRule.COMPARISON, ValueRule.KEY) and not more[0]:
        more = ["null is refused"]
    if rule.target and rule.variable and rule.target != rule.variable:
        more.append(f"sent as ${rule.target}")
    return "; ".join([text, *(part for part in more if part)])


def given_words(given: Given) -> str:
    """What is checked of one place that gives foreign keys, as a sentence without its end."""
    source = f"${given.variable}" if given.variable else given.constant
    if given.form is Gives.VALUE and given.new:
        return f"{given.table}.{given.column}: {source} is a new row's, and may be referred to"
    if given.form is Gives.VALUE:
        return f"{given.table}.{given.column}: {source} must name a row of the organization"
    return f"{given.table}: the foreign keys in {source} must name rows of the organization"


def guard_words(guard: Guard) -> str:
    """What is checked of rows that are deleted or get other keys, as a sentence without its end."""
    needed = f", when {' or '.join(f'${name}' for name in guard.when)} changes a key" if guard.when else ""
    rows = f"rows in ${guard.each} that get another key" if guard.each else "rows that are deleted or get another key"
    return f"{guard.table}: no row of others may refer to the {rows} by {', '.join(guard.keys)}{needed}"


def step_words(step: Step) -> str:
    """A step of the reshape plan as a sentence without its end."""
    place = ".".join(step.path)
    match step.action:
        case Action.FIRST:
            return f"{place}: a list of at most one row becomes that row, or null"
        case Action.RETURNING_FIRST:
            return f"{place}: the row in `returning` takes the place of the whole, or null"
        case Action.OWN:
            return f"{place}: null unless {step.helper} is the organization; {step.helper} is taken away"
        case Action.STRIP:
            return f"{place}: {step.helper} is taken away, it says where the stream goes on"


def sample_variables(explanation: Explanation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for what `given` leaves out and the document needs, so that its SQL can be shown. Nothing is run with them."""
    found = dict(given)
    scope_variable = explanation.scoped.scope_variable
    for definition in _operation(explanation.document).variable_definitions or ():
        name = definition.variable.name.value
        type_ = type_from_ast(explanation.schema, definition.type)
        required = isinstance(type_, GraphQLNonNull) and definition.default_value is None
        if name not in found and name != scope_variable and required:
            found[name] = _sample(type_, explanation.index.tenant_column or "")
    return found


def _sample(type_: Any, tenant: str) -> Any:
    if isinstance(type_, GraphQLNonNull):
        return _sample(type_.of_type, tenant)
    if isinstance(type_, GraphQLList):
        return [_sample(type_.of_type, tenant)]
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    if not isinstance(type_, GraphQLInputObjectType):
        return _SAMPLES.get(getattr(type_, "name", ""), "x")
    found = {
        name: _sample(field.type, tenant)
        for name, field in type_.fields.items()
        if isinstance(field.type, GraphQLNonNull) and field.type is not type_
    }
    for name, field in type_.fields.items():
        if found:
            break
        inner = get_named_type(field.type)
        if name == tenant or (name.startswith("_") and name != "_eq"):
            continue
        if not isinstance(inner, GraphQLInputObjectType) or "_eq" in inner.fields:
            found[name] = _sample(field.type, tenant)
    return found


def _operations(file: SourceFile) -> list[Located]:
    try:
        nodes = parse(Source(file.text, file.path)).definitions
    except GraphQLSyntaxError as error:
        raise CodegenError([diagnostic(error, file.path, file.text)]) from error
    return [Located(node, file) for node in nodes if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)]


def _is_fragment(located: Located) -> bool:
    return isinstance(located.node, FragmentDefinitionNode)


def _operation(document: DocumentNode) -> OperationDefinitionNode:
    return next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))


def _explain(
    located: Located, queries: Queries, sdl: Sdl, config: CodegenConfig, findings: Findings, ours: bool
) -> list[Explanation]:
    index = index_schema(
        sdl,
        roots=reached_roots([located], queries),
        tenant_column=config.tenant_column,
        references=config.references,
    )
    schema = schema_of([located], queries, sdl)
    root = sdl.root_fields.get(located.operation.operation.value, {}).get(first_root(located.node, queries))
    app = split_app(root.named_type)[0] if root and ours else ""
    context = Context(app, schema, index, policy_of(config, index))
    found = Findings()
    resolved = resolve([located], queries, context, found)
    findings.errors += found.errors
    if not resolved and not found.errors:
        # A kind of operation that is valid and not compiled: it is explained as it would be sent by hand.
        document = DocumentNode(definitions=(located.node, *queries.fragment_nodes.values()))
        again = resolve_document(document, context, located, findings)
        resolved = [again] if again else []
    return [_explanation(op, index, schema) for op in resolved]


def _explanation(op: OperationIR, index: SchemaIndex, schema: GraphQLSchema) -> Explanation:
    return Explanation(
        name=op.name,
        source=op.source,
        written=print_ast(op.document),
        scoped=op.scoped,
        index=index,
        schema=schema,
        document=op.document,
    )
