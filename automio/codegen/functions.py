"""Operations and their models -> the text of a table's module, and of its twin of coroutines. Next: pipeline.py, write.py.

A module has three parts: models, functions, and the compiled operations that the functions hold by name (`FIND`). The
twin in `aio/` has functions only and takes the rest from the module, so that both faces give the same classes. The model
of a whole answer, which nobody sees, is made at the first call (`result=lambda: create_model(…)`): a class costs 0.14 ms
when a module is imported. The models of `aggregate` are seen by users but needed by few, so checkers see classes under
TYPE_CHECKING, and the module's `__getattr__` makes them when one is first asked for.

Arguments. A variable that GraphQL requires is a positional argument, any other is a keyword whose default is UNSET: it is
not sent, and the server's or the document's default holds. None is accepted where null is a value; where scoping
refuses null (comparisons, keys) the type says so. Every function has the keyword `organization_id`, unless the schema
has no organizations.

Text is made here and put into its final form by ruff (write.py): lines may be long, quotes and commas are its business.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from textwrap import fill

from graphql import NonNullTypeNode, VariableDefinitionNode, print_ast

from automio.codegen.facts import document_source
from automio.codegen.inputs import Inputs
from automio.codegen.models import COUNTS, ModelClass, OperationModels, Type
from automio.codegen.naming import HEADER, Imports, argument_names, constant_name
from automio.codegen.operations import OperationIR
from automio.dialect.index import RootKind, SchemaIndex, Table
from automio.dialect.names import snake_case
from automio.dialect.scalars import Scalar
from automio.scope.rules import Missing, ValueRule
from automio.scope.values import python_fields

_CALL, _CLIENT, _MODEL, _PAGES, _SUBSCRIBE = (
    f"automio.runtime.{name}" for name in ("call", "client", "model", "pages", "subscribe")
)
_NULL_IS_FINE = frozenset({Missing.KEEP, Missing.EMPTY})


@dataclass(frozen=True, slots=True)
class Module:
    """One module to be: a table's operations in their order, and every class that it defines or takes from fragments."""

    name: str
    app: str
    table: Table | None
    operations: tuple[tuple[OperationIR, OperationModels], ...]
    classes: tuple[ModelClass, ...]
    fragments: tuple[str, ...]
    """Classes of `_fragments` that are used here."""
    sources: tuple[str, ...]
    """The operation files that it is made from."""


@dataclass(frozen=True, slots=True)
class Renderer:
    """What all modules of a package share."""

    index: SchemaIndex
    scalars: Mapping[str, Scalar]
    inputs: Inputs

    # Modules.

    def module(self, module: Module) -> str:
        module = _completed(module)
        imports = Imports(_names_in(module))
        imports.use(_MODEL, "Model")
        models = [self.model(model, imports) for model in module.classes if not model.private and not model.late]
        models += self.late_models(module, imports)
        functions = [self.function(module, op, models_, imports, awaits=False) for op, models_ in module.operations]
        constants = [self.operation(module, op, models_, imports) for op, models_ in module.operations]
        for name in module.fragments:
            imports.add("._fragments", name)
        return _module_text(module, [_about(module), *_listing(module)], imports, [*models, *functions, *constants])

    def twin(self, module: Module) -> str:
        module = _completed(module)
        imports = Imports(_function_names(module) | set(_public(module)) | set(module.fragments))
        functions = [self.function(module, op, models_, imports, awaits=True) for op, models_ in module.operations]
        late = [model.name for model in module.classes if model.late]
        for name in [*_public(module), *module.fragments]:
            if name in late:
                imports.alias(f"..{module.name}", name, name)
            else:
                imports.add(f"..{module.name}", name)
        if late:
            checking = imports.use("typing", "TYPE_CHECKING")
            functions.insert(0, f"if not {checking}:\n    from ..{module.name} import _late as __getattr__\n\n")
        about = f"The functions of {module.name}.py as coroutines, with the same models."
        return _module_text(module, [about], imports, functions)

    def fragments(self, classes: Iterable[ModelClass], sources: Iterable[str]) -> str:
        classes = list(classes)
        imports = Imports(model.name for model in classes)
        imports.use(_MODEL, "Model")
        models = [self.model(model, imports) for model in classes]
        return "\n".join(
            [
                f"{HEADER} Source: {', '.join(sources)}.",
                _docstring(["Models of the fragments. Each module that uses one exports it."]),
                "",
                "from __future__ import annotations",
                "",
                *imports.lines(),
                "",
                *models,
            ]
        )

    # Models.

    def model(self, model: ModelClass, imports: Imports) -> str:
        within = {field.name for field in model.fields}
        bases = ", ".join(model.bases) or imports.use(_MODEL, "Model")
        lines = [f"class {model.name}({bases}):"]
        if model.doc:
            lines += [_indent(_docstring([model.doc])), ""]
        for field in model.fields:
            text = self.type(field.type, imports, within)
            default = ""
            if field.key != field.name:
                first = "None, " if field.absent else ""
                default = f" = {imports.use('pydantic', 'Field')}({first}alias={field.key!r})"
            elif field.absent:
                default = " = None"
            lines.append(f"    {field.name}: {text}{default}")
            if field.description:
                lines.append(_indent(_docstring([field.description])))
        if len(lines) == 1:
            lines.append("    pass")
        return "\n".join([*lines, "", ""])

    def late_models(self, module: Module, imports: Imports) -> list[str]:
        """Models that are made when they are first asked for; type checkers see them as classes."""
        late = [model for model in module.classes if model.late]
        if not late:
            return []
        checking = imports.use("typing", "TYPE_CHECKING")
        shown = "\n".join(_indent(self.model(model, imports)) for model in late)
        made = [f"made.setdefault({model.name!r}, {self.creation(model, module, imports)})" for model in late]
        text, anything = imports.builtin("str"), imports.use("typing", "Any", checking=True)
        lines = [
            f"if {checking}:",
            shown,
            f"    def _late(name: {text}) -> {anything}: ...",
            "else:",
            "    def _late(name):",
            '        """The models of `aggregate`, made when one is first asked for: an import does not pay for them."""',
            "        made = globals()",
            f"        if name in {tuple(model.name for model in late)!r} and name not in made:",
            *(f"            {line}" for line in made),
            "        if name in made:",
            "            return made[name]",
            '        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")',
            "    __getattr__ = _late",
            "",
        ]
        return ["\n".join(lines)]

    def type(self, type_: Type, imports: Imports, within: Container[str] = ()) -> str:
        match type_.kind:
            case "class":
                return type_.name
            case "any":
                return imports.use("typing", "Any")
            case "str":
                return imports.builtin("str", within=within)
            case "literal":
                return f"{imports.use('typing', 'Literal')}[{type_.name!r}]"
            case "numbers":
                text, number = (imports.builtin(name, within=within) for name in ("str", "int"))
                return f"{imports.builtin('dict', within=within)}[{text}, {number}]"
            case "list":
                return f"{imports.builtin('list', within=within)}[{self.type(type_.inner, imports, within)}]"
            case "optional":
                inner = self.type(type_.inner, imports, within)
                return inner if inner in ("Any", "_Any") else f"{inner} | None"
            case "union":
                return " | ".join(self.type(each, imports, within) for each in type_.of)
            case "scalar":
                scalar = self.scalars[type_.name]
                pairs = [pair for pair in scalar.imports if pair[1] in scalar.annotation]
                return imports.text(scalar.annotation, pairs, within=within)

    # Operations.

    def result(self, name: str, module: Module, imports: Imports) -> str:
        """The expression of a class: its name, or a private one made in place when it is first needed."""
        model = next((model for model in module.classes if model.name == name), None)
        if model is not None and model.late:
            return f"_late({name!r})"
        return self.creation(model, module, imports) if model is not None and model.private else name

    def creation(self, model: ModelClass, module: Module, imports: Imports) -> str:
        """The expression that makes a class without a class statement."""
        create, base = imports.use("pydantic", "create_model"), imports.use(_MODEL, "Model")
        fields: list[str] = []
        for field in model.fields:
            text = self.type(field.type, imports)
            if field.type.named.kind == "class":
                inner = field.type.named.name
                made = self.result(inner, module, imports)
                text = text if made == inner else text.replace(inner, made)
            default = "..."
            if field.key != field.name:
                default = f"{imports.use('pydantic', 'Field')}({'None, ' if field.absent else ''}alias={field.key!r})"
            elif field.absent:
                default = "None"
            fields.append(f"{field.name}=({text}, {default})")
        where = ", __module__=__name__" if model.late else ""
        return f"{create}({model.name.strip('_')!r}, __base__={base}{where}, {', '.join(fields)})"

    def operation(self, module: Module, op: OperationIR, models: OperationModels, imports: Imports) -> str:
        scoped = op.scoped
        value = self.type(models.value, imports)
        if op.derived == "update_many":  # its function takes the numbers out
            value = self.type(COUNTS, imports)
        operation = imports.use(_CALL, "Operation")
        facts = imports.use("._facts", "FACTS")
        parts = [
            f"name={op.name!r}",
            f"kind={op.kind!r}",
            f"document={document_source(scoped.text, module.app)}",
            f"facts={facts}",
            f"table={op.table!r}",
            f"source={op.source!r}",
            f"result=lambda: {self.result(models.data, module, imports)}",
        ]
        for name, given in (
            ("unwrap", models.unwrap),
            ("scope_variable", scoped.scope_variable),
            ("rules", scoped.rules),
            ("dropped", scoped.dropped),
            ("plan", scoped.plan),
            ("cursor", op.cursor),
            ("check", scoped.check),
        ):
            if given:
                parts.append(f"{name}={_source(given, imports)}")
        constant = constant_name(op.function)
        return f"{constant}: {operation}[{value}] = {operation}(\n    " + ",\n    ".join(parts) + ",\n)\n"

    def function(
        self, module: Module, op: OperationIR, models: OperationModels, imports: Imports, *, awaits: bool
    ) -> str:
        names = argument_names(op.variables)
        value = self.type(models.value, imports)
        prefix = ".." if awaits else "."
        constant = constant_name(op.function)
        if awaits:
            imports.add(f"..{module.name}", constant)
        paged = op.derived == "iterate"
        changes = self.changes(op)
        flags = {f"{function}_{name}" for function, columns in op.choices.items() for name in columns}
        positional: list[str] = []
        keywords: list[str] = []
        given: list[str] = []
        for name, definition in op.variables.items():
            if (paged and name != "where") or name in op.choices or name in flags:
                continue
            if not self.inputs.offers(definition.type):
                continue
            argument = names[name]
            text = self.argument(module, op, name, definition, imports, prefix)
            if name not in changes or len(changes) == 1:
                given.append(f"{name!r}: {argument}")
            if _required(definition) or changes == [name]:
                positional.append(f"{argument}: {text}")
            else:
                unset = imports.use("automio.request", "Unset", checking=True)
                default = imports.use("automio.request", "UNSET")
                place = positional if name in changes[:1] else keywords
                place.append(f"{argument}: {text} | {unset} = {default}")
        for function, columns in op.choices.items():
            sequence = imports.use("collections.abc", "Sequence", checking=True)
            column = self.inputs.columns(module.name, f"{function.title()}Column", columns, imports, prefix)
            keywords.append(f"{function}: {sequence}[{column}] = ()")
            given.append(f"{function!r}: {imports.builtin('bool')}({function})")
            given.append(f"**{{f'{function}_{{name}}': True for name in {function}}}")
        if len(changes) > 1:
            changed = imports.use("automio.scope.values", "changed", within=names.values())
            given.append(f"**{changed}({', '.join(f'{name}={names[name]}' for name in changes)})")
        if paged:
            keywords.append(f"batch_size: {imports.builtin('int')} = 500")
        organization = "organization_id"
        if self.index.tenant_column is not None:
            unset = imports.use("automio.request", "Unset", checking=True)
            default = imports.use("automio.request", "UNSET")
            keywords.append(f"organization_id: {imports.builtin('int')} | {unset} = {default}")
        else:
            organization = imports.use("automio.request", "UNSET")
        signature = ", ".join([*positional, *(["*", *keywords] if keywords else [])])
        variables = "{" + ", ".join(given) + "}"
        doc = _indent(
            _docstring(_function_doc(module, op, models, names, changes, tenancy=self.index.tenant_column is not None))
        )
        if paged:
            return self.paged(module, op, signature, variables, organization, value, doc, imports, awaits=awaits)
        if op.kind == "subscription":
            subscribe = imports.use(_SUBSCRIBE, "subscribe_async" if awaits else "subscribe", within=names.values())
            answers = imports.use(_SUBSCRIBE, "AsyncSubscription" if awaits else "Subscription", checking=True)
            call = f"{subscribe}({constant}, {variables}, {organization})"
            return f"def {op.function}({signature}) -> {answers}[{value}]:\n{doc}\n    return {call}\n\n"
        runner = imports.use(_CLIENT, "run_async" if awaits else "run", within=names.values())
        call = f"{'await ' if awaits else ''}{runner}({constant}, {variables}, {organization})"
        if op.derived == "update_many":
            call = f"[each[{self.index.affected_rows!r}] for each in {call}]"
        word = "async def" if awaits else "def"
        body = f"    return {call}"
        return f"{word} {op.function}({signature}) -> {value}:\n{doc}\n{body}\n\n"

    def paged(
        self,
        module: Module,
        op: OperationIR,
        signature: str,
        variables: str,
        organization: str,
        value: str,
        doc: str,
        imports: Imports,
        *,
        awaits: bool,
    ) -> str:
        table = module.table
        assert table
        names = python_fields(table)
        key = tuple(names[column] for column in table.primary_key)
        iterator = imports.use("collections.abc", "AsyncIterator" if awaits else "Iterator", checking=True)
        pages = imports.use(_PAGES, "aiterate" if awaits else "iterate")
        call = (
            f"{pages}({constant_name(op.function)}, {variables}, key={key!r}, "
            f"batch_size=batch_size, organization_id={organization})"
        )
        return f"def {op.function}({signature}) -> {iterator}[{value}]:\n{doc}\n    return {call}\n\n"

    def changes(self, op: OperationIR) -> list[str]:
        """The variables of an update that say what changes, where there are several kinds: each may be left out, not all."""
        if op.derived not in ("update", "update_by_pk"):
            return []
        return [name for name, d in op.variables.items() if not _required(d) and self.inputs.offers(d.type)]

    def argument(
        self,
        module: Module,
        op: OperationIR,
        name: str,
        definition: VariableDefinitionNode,
        imports: Imports,
        prefix: str,
    ) -> str:
        rules = [rule for rule in op.scoped.rules if rule.variable == name]
        null = all(rule.missing in _NULL_IS_FINE for rule in rules) and name not in self.changes(op)
        if definition.default_value is not None and (
            isinstance(definition.type, NonNullTypeNode) or name in self.inputs.never_null(op.document)
        ):
            null = False
        text = self.inputs.argument(definition.type, imports, module.name, null=null, prefix=prefix)
        if any(rule.kind is ValueRule.REQUIRED_FILTER for rule in rules):
            text += f" | {imports.use('automio.scope.values', 'AllRows', checking=True)}"
        return text


def _required(definition: VariableDefinitionNode) -> bool:
    return isinstance(definition.type, NonNullTypeNode) and definition.default_value is None


def _source(value: object, imports: Imports) -> str:
    """Python source of rules, plans and plain values: their `repr` is source, their names are imported."""
    text = repr(value) if not isinstance(value, frozenset) else f"frozenset({sorted(value)!r})"
    for module, names in (
        ("automio.scope.values", ("Rule", "ValueRule", "Missing")),
        ("automio.scope.reshape", ("Step", "Action")),
        ("automio.scope.cursor", ("Cursor",)),
        ("automio.scope.check", ("Check", "Given", "Gives", "Guard")),
    ):
        for name in names:
            if f"{name}(" in text or f"{name}." in text:
                local = imports.use(module, name)
                if local != name:
                    text = text.replace(f"{name}(", f"{local}(").replace(f"{name}.", f"{local}.")
    return text


def _completed(module: Module) -> Module:
    """The module with its operations as the schema completed them (models.py)."""
    operations = tuple((models.completed or op, models) for op, models in module.operations)
    return replace(module, operations=operations)


# Names and docstrings.


def _names_in(module: Module) -> set[str]:
    """The names of the module itself."""
    return set(_public(module)) | set(module.fragments) | _function_names(module)


def _function_names(module: Module) -> set[str]:
    names: set[str] = set()
    for op, _ in module.operations:
        names |= {op.function, constant_name(op.function)}
    return names


def _module_text(module: Module, about: list[str], imports: Imports, body: list[str]) -> str:
    """Header, docstring, imports, `__all__` and what follows: the frame of a table's module and of its twin."""
    public = sorted([*_public(module), *module.fragments, *(op.function for op, _ in module.operations)])
    return "\n".join(
        [
            f"{HEADER} Source: {', '.join(module.sources) or 'the schema'}.",
            _docstring(about),
            "",
            "from __future__ import annotations",
            "",
            *imports.lines(),
            "",
            f"__all__ = {public!r}",
            "",
            *body,
        ]
    )


def _public(module: Module) -> list[str]:
    return [model.name for model in module.classes if not model.private]


def _about(module: Module) -> str:
    of = f" of app {module.app}" if module.app else ""
    return f"Table {module.table.name}{of}." if module.table else f"Operations{of} that belong to no table."


def _listing(module: Module) -> list[str]:
    written = [op.function for op, _ in module.operations if not op.derived]
    derived = [op.function for op, _ in module.operations if op.derived]
    lines: list[str] = []
    if written:
        lines += ["", f"From operations: {', '.join(written)}."]
    if derived:
        lines += ["", f"From the table alone: {', '.join(derived)}."]
    return lines


def _function_doc(
    module: Module,
    op: OperationIR,
    models: OperationModels,
    names: Mapping[str, str],
    changes: list[str],
    *,
    tenancy: bool,
) -> list[str]:
    first, edges = _what(module, op, models)
    if op.description:
        text = op.description
        first, edges = (text if text.endswith((".", "!", "?")) else f"{text}."), f"{first} {edges}".strip()
    lines = [first, "", *([edges] if edges else [])]
    if not op.derived and any(rule.kind is ValueRule.REQUIRED_FILTER for rule in op.scoped.rules):
        lines.append("An empty filter is refused; `all_rows()` means every row of the organization.")
    if len(changes) > 1:
        does = [_CHANGES.get(name.removesuffix("_values"), "changes columns") for name in changes]
        lines.append(f"{', '.join(f'`{names[name]}` {what}' for name, what in zip(changes, does, strict=True))}.")
        lines.append("At least one of these is needed.")
    optional = [d for d in op.variables.values() if not _required(d)] if not op.derived else []
    for definition in optional:
        lines += _optional_doc(op, definition, names)
    if op.kind == "subscription":
        lines.append(_STREAM_DOC if op.cursor else _LIVE_DOC)
    safe = "Safe to repeat." if op.kind == "query" else "Not sent again once the server may have seen it."
    if op.kind == "subscription":
        safe = "A lost connection is made again."
    raises = ["ScopeError", "TransportError", "ResponseError"] if tenancy else ["TransportError", "ResponseError"]
    lines += [f"Raises {', '.join(raises)}. {safe}", f"Source: {op.source}"]
    return lines


def _optional_doc(op: OperationIR, definition: VariableDefinitionNode, names: Mapping[str, str]) -> list[str]:
    name = definition.variable.name.value
    if definition.default_value is not None:
        return [f"`{names[name]}` left out: {print_ast(definition.default_value)}."]
    if any(
        r.kind is ValueRule.COMPARISON and r.missing is Missing.OPTIONAL for r in op.scoped.rules if r.variable == name
    ):
        return [f"`{names[name]}` left out: no condition."]
    return []


def _what(module: Module, op: OperationIR, models: OperationModels) -> tuple[str, str]:
    """What a function gives, and the edges: the docstring's first lines."""
    table = module.table.name if module.table else ""
    if op.derived:
        first, edges = _DERIVED_DOCS[op.derived]
        return first.format(table=table), edges
    if len(op.roots) > 1:
        return f"Several answers of one request: {', '.join(root.key for root in op.roots)}.", ""
    root = next(iter(op.roots)).root
    kind = root.kind if root else RootKind.OTHER
    value = models.value
    if value.kind == "optional" and models.unwrap[-1:] == ("0",):
        return f"The first of the matching {table}, or None.", ""
    if models.unwrap[-1:] == ("affected_rows",):
        return f"The number of {table} that were {_PARTICIPLES[kind]}.", ""
    match kind:
        case RootKind.STREAM:
            return f"The {table} behind the cursor, in batches.", ""
        case RootKind.LIST:
            return f"The matching {table}; an empty list when none match.", ""
        case RootKind.BY_PK:
            return f"The row of {table} with this key, or None.", ""
        case RootKind.AGGREGATE:
            return f"Numbers over the matching {table}.", ""
        case RootKind.INSERT | RootKind.UPDATE | RootKind.DELETE | RootKind.UPDATE_MANY:
            return f"The {table} that were {_PARTICIPLES[kind]}.", ""
        case RootKind.INSERT_ONE:
            ignored = ", or None when a conflict was ignored" if value.kind == "optional" else ""
            return f"The inserted row of {table}{ignored}.", ""
        case RootKind.UPDATE_BY_PK | RootKind.DELETE_BY_PK:
            return f"The {_PARTICIPLES[kind]} row of {table}, or None when there is no such row.", ""
        case _:
            return f"What `{snake_case(op.name)}` answers.", ""


_PARTICIPLES = {
    RootKind.INSERT: "inserted",
    RootKind.UPDATE: "updated",
    RootKind.UPDATE_MANY: "updated",
    RootKind.UPDATE_BY_PK: "updated",
    RootKind.DELETE: "deleted",
    RootKind.DELETE_BY_PK: "deleted",
}
_CHANGES = {
    "set": "gives new values",
    "inc": "adds to numbers",
    "append": "adds to the end of JSON",
    "prepend": "adds to the beginning of JSON",
    "delete_key": "takes a key out of JSON",
    "delete_elem": "takes the element at an index out of JSON",
    "delete_at_path": "takes out of JSON what is at a path",
}
_LIVE_DOC = (
    "An iterator: the answer now, and again after each change; who reads slowly gets the latest. A `with` block "
    "closes it (`async with` in `aio`)."
)
_STREAM_DOC = (
    "An iterator over batches: each row once, also when the connection is lost, as long as the cursor's column grows and is "
    "unique. A `with` block closes it (`async with` in `aio`)."
)
_DERIVED_DOCS: dict[str, tuple[str, str]] = {
    "get": ("The row of {table} with this key, or None.", ""),
    "get_by": ("The row of {table} with this unique key, or None.", ""),
    "find": (
        "The matching {table}; an empty list when none match.",
        "`where` left out or None: every row; `limit` counts rows.",
    ),
    "iterate": (
        "Batches of {table} in the order of their key, each a list of at most `batch_size` rows.",
        "One request a batch, memory for one batch. Rows that others insert behind the current key are seen.",
    ),
    "count": ("The number of matching {table}.", "`where` left out or None: every row."),
    "aggregate": (
        "Numbers over the matching {table}: the count, and each function over the columns that it is given.",
        "`where` left out or None: every row. The server computes what is asked for; the rest is None in the answer, as is a "
        "function over rows of which none has a value.",
    ),
    "insert": ("The inserted row of {table}.", "A conflict with an existing row raises GraphQLErrors."),
    "insert_many": ("The inserted {table}, in the order of `rows`.", "All or nothing, in one request."),
    "upsert_many": (
        "The number of {table} that were inserted or updated.",
        "A row that conflicts on `on_conflict` has the columns `update` replaced; none named: it is left as it is.",
    ),
    "update": (
        "The number of {table} that were updated.",
        "An empty filter is refused; `all_rows()` means every row of the organization.",
    ),
    "update_many": (
        "The number of {table} that were updated, for each of `updates` in their order.",
        "All or nothing, in one transaction. An empty filter is refused; `all_rows()` means every row of the organization.",
    ),
    "update_by_pk": ("The updated row of {table}, or None when there is no such row.", ""),
    "delete": (
        "The number of {table} that were deleted.",
        "An empty filter is refused; `all_rows()` means every row of the organization.",
    ),
    "watch": (
        "The matching {table}, now and after each change.",
        "`where` left out or None: every row; `limit` counts rows.",
    ),
    "delete_by_pk": ("The deleted row of {table}, or None when there is no such row.", ""),
}


def _docstring(lines: Iterable[str]) -> str:
    text = "\n".join(map(_filled, lines)).replace("\\", "\\\\").replace('"""', '\\"\\"\\"').rstrip()
    if text.endswith('"'):
        text += " "
    return f'"""{text}"""' if "\n" not in text else f'"""{text}\n"""'


@lru_cache(maxsize=1024)
def _filled(line: str) -> str:
    return fill(line, 112, break_long_words=False, break_on_hyphens=False)


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())
