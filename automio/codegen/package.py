"""The compilation of one package: operations and tables of one app -> {path: text}, not formatted yet. Called by packages.py.

Sdl, operations -> SchemaIndex, OperationIR -> models, functions, inputs -> {path: text}

What it reads of the schema is told by `starts`: these names, and what texts about them mention (`Sdl.reach`). cache.py
rests on that: a step that looks elsewhere in the schema has to say so there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from automio.codegen.cache import Parts
from automio.codegen.config import CodegenConfig
from automio.codegen.facts import render_facts
from automio.codegen.functions import Module, Renderer
from automio.codegen.groundwork import lay_groundwork
from automio.codegen.inputs import Inputs, input_modules
from automio.codegen.models import ModelClass, ModelField, ModelMaker, SharedModels, prepare_schema
from automio.codegen.naming import HEADER, Names
from automio.codegen.operations import (
    Context,
    Findings,
    Located,
    OperationIR,
    Queries,
    reached_roots,
    resolve,
)
from automio.codegen.overrides import adjust, referenced, unknown_columns, unknown_references
from automio.codegen.sources import SourceFile
from automio.codegen.write import MARKER
from automio.dialect.index import SchemaIndex, Table
from automio.dialect.names import collisions
from automio.dialect.sdl import Sdl, position, references, type_name
from automio.errors import Diagnostic
from automio.scope.values import python_fields

_SPREAD = re.compile(r"\.\.\.(?:[\s,\ufeff]|#[^\n\r]*)*(\w+)")


@dataclass(frozen=True, slots=True)
class Package:
    """The compilation of one package."""

    config: CodegenConfig
    sdl: Sdl
    queries: Queries
    app: str
    operations: list[Located]
    tables: list[str]
    """The types of the app that query fields return."""
    findings: Findings

    def parts(self) -> Parts:
        """What the package is made of, by name."""
        reached = reached_roots(self.operations, self.queries)
        return Parts(
            tables=tuple(self.tables),
            operations=tuple(located.name for located in self.operations),
            sources=tuple(file.path for file in self.sources()),
            roots=tuple((kind, name) for kind, names in sorted(reached.items()) for name in sorted(names)),
        )

    def starts(self) -> list[str]:
        """The names of the schema that compilation starts from; what it reads is what these reach."""
        reached = reached_roots(self.operations, self.queries)
        fields = [self.sdl.root_fields.get(kind, {}).get(name) for kind, names in reached.items() for name in names]
        names = [
            *(name for root in fields if root for name in references(root.span.body)),
            *(type_name(d.type) for located in self.operations for d in located.operation.variable_definitions or ()),
            *self.tables,
        ]
        return [*names, *referenced(self.sdl, names, self.config)]

    def sources(self) -> list[SourceFile]:
        """The files of the operations and of the fragments that these files spread, in the order of their paths."""
        found: dict[str, SourceFile] = {}
        todo = [located.file for located in self.operations]
        while todo:
            file = todo.pop()
            if file.path not in found:
                found[file.path] = file
                spread = _SPREAD.findall(file.text)
                todo += [self.queries.fragments[name].file for name in spread if name in self.queries.fragments]
        return [found[path] for path in sorted(found)]

    def files(self) -> dict[Path, str]:
        """Path -> text of every file, {} and findings when there are faults. Raises CodegenError for faults of the schema."""
        types = [name for name in self.tables if self.config.derived_of(name)]
        ground = lay_groundwork(self.sdl, self.queries, self.app, self.operations, types, self.config)
        index, schema, written = ground.index, ground.schema, ground.places
        self.report_places(written)
        context = Context(self.app, schema, index, ground.policy)
        resolved = resolve(self.operations, self.queries, context, self.findings)
        self.findings.errors += unknown_columns(index.tables.values(), self.config)
        self.findings.errors += unknown_references(index, self.sdl, self.config)
        if self.findings.errors:
            return {}
        self.report_collisions(ground.tables, ground.modules)
        by_module = {module: table for table, module in ground.modules.items()}
        placed: list[OperationIR] = []
        for op in resolved:
            module, function = written[op.name]
            placed.append(replace(op, module=module, function=function, table=_table_name(index, by_module, module)))
        prepare_schema(schema, index)
        scalars = adjust(schema, index, self.config)
        maker = ModelMaker(schema, index, scalars)
        inputs = Inputs(schema, index, scalars, input_modules(index.tables.values(), ground.modules), self.app)
        renderer = Renderer(index, scalars, inputs)
        return self.render(index, maker, renderer, [*placed, *ground.derived], ground.rows, by_module)

    def report_collisions(self, tables: Iterable[Table], modules: Mapping[str, str]) -> None:
        """Warns of fields of one table, and of tables, that want one Python name; each has one of its own (naming.py)."""
        by_name = {table.name: table for table in tables}
        for group in collisions(name for name, table in by_name.items() if not self.config.module_of(table.type)):
            types = [by_name[name].type for name in group]
            shown = ", ".join(f"`{type_}` is in `{modules[type_]}`" for type_ in types)
            message = f"{len(group)} tables want one module: {shown}"
            last = max(types, key=lambda type_: modules[type_])
            self.warn_at_type(last, message, f'Choose: [tables."{last}"] module = "…" in {self.config.path}.')
        for table in tables:
            names = python_fields(table)
            for group in collisions(name for name in names if name not in table.names):
                shown = ", ".join(f"`{name}` is `{names[name]}`" for name in group)
                message = f"{len(group)} fields of {table.type} want one Python name: {shown}"
                last = max(group, key=lambda name: names[name])
                hint = f'Choose: [tables."{table.type}"] names = {{ {last} = "…" }} in {self.config.path}.'
                self.warn_at_type(table.type, message, hint)

    def warn_at_type(self, type_: str, message: str, hint: str) -> None:
        span = self.sdl.definitions[type_][0]
        found = re.compile(rf"\btype\s+(?={type_}\b)").search(span.text, span.start)
        line, column, source = position(span.text, found.end() if found else span.start)
        self.findings.warnings.append(
            Diagnostic(span.path, line, column, message, code="AUTOMIO-131", hint=hint, source_line=source)
        )

    def report_places(self, places: Mapping[str, tuple[str, str]]) -> None:
        """Two operations of one module that want one function name are faults."""
        first: dict[tuple[str, str], Located] = {}
        for located in self.operations:
            place = places.get(located.name)
            if place is None:
                continue
            other = first.setdefault(place, located)
            if other.name != located.name:
                message = f"`{located.name}` and `{other.name}` ({other.place}) both become {place[0]}.{place[1]}"
                self.findings.error(
                    located, located.node.name or located.node, message, "AUTOMIO-130", "Rename one of them."
                )

    def render(
        self,
        index: SchemaIndex,
        maker: ModelMaker,
        renderer: Renderer,
        operations: list[OperationIR],
        rows: Mapping[str, str],
        by_module: Mapping[str, str],
    ) -> dict[Path, str]:
        folder = Path(self.config.target) / self.config.package_of(self.app)
        nodes = {name: node for op in operations if not op.derived for name, node in op.fragments.items()}
        avoided = {
            name: frozenset(
                rows[by_module[op.module]] for op in operations if name in op.fragments and op.module in by_module
            )
            for name in nodes
        }
        fragments = maker.fragments(nodes, avoided)
        fragment_classes = {model.name: model for model in fragments.classes}
        files: dict[Path, str] = {}
        used: set[str] = set()
        modules = sorted({op.module for op in operations})
        for name in modules:
            table = index.tables.get(by_module.get(name, ""))
            own = [op for op in operations if op.module == name]
            module = self.module(name, table, own, maker, rows, fragments.names, fragment_classes)
            used |= set(module.fragments)
            files[folder / f"{name}.py"] = renderer.module(module)
            files[folder / "aio" / f"{name}.py"] = renderer.twin(module)
        if used:
            made = {name for name, class_ in fragments.names.items() if class_ in fragment_classes}
            sources = {found.file.path for name, found in self.queries.fragments.items() if name in made}
            files[folder / "_fragments.py"] = renderer.fragments(fragments.classes, sorted(sources))
        for name, text in renderer.inputs.render().items():
            files[folder / "_inputs" / f"{name}.py"] = f"{HEADER} Source: the schema.\n{text}"
        return files | self.frame(folder, index, modules)

    def module(
        self,
        name: str,
        table: Table | None,
        operations: list[OperationIR],
        maker: ModelMaker,
        rows: Mapping[str, str],
        fragments: Mapping[str, str],
        fragment_classes: Mapping[str, ModelClass],
    ) -> Module:
        row = rows[table.type] if table else ""
        names = Names({row, *fragments.values(), *fragment_classes})
        shared = SharedModels()
        made = [
            (op, maker.derived(op, row, shared, names) if op.derived else maker.operation(op, fragments, names))
            for op in operations
        ]
        classes = [model for _, models in made for model in models.classes]
        if table and any(op.derived for op in operations):
            classes.insert(0, maker.row(table, row))
        sources = sorted({op.source.rpartition(":")[0] for op in operations if not op.derived})
        used: set[str] = set()
        todo = [*classes, *(ModelClass("", (ModelField("", "", models.value),)) for _, models in made)]
        while todo:
            for found in sorted(_mentioned(todo.pop()) & fragment_classes.keys() - used):
                used.add(found)
                todo.append(fragment_classes[found])
        return Module(name, self.app, table, tuple(made), tuple(classes), tuple(sorted(used)), tuple(sources))

    def frame(self, folder: Path, index: SchemaIndex, modules: Iterable[str]) -> dict[Path, str]:
        modules = list(modules)
        if not modules:
            return {}
        what = f"The tables of app {self.app}" if self.app else "Tables"
        header = f"{HEADER} Source: the schema."
        head = f'{header}\n"""{what}, a module each: {", ".join(modules)}. Coroutines are in `aio`."""\n'
        inputs = (
            f'{header}\n"""What functions take. For type checkers alone: nothing here is imported at run time."""\n'
        )
        return {
            folder / "__init__.py": head,
            folder / "aio" / "__init__.py": f'{header}\n"""The same functions as coroutines."""\n',
            folder / "_inputs" / "__init__.py": inputs,
            folder / "_facts.py": render_facts(self.app, index),
            folder / MARKER: "",
        }


def _mentioned(model: ModelClass) -> set[str]:
    return {*model.bases, *(field.type.named.name for field in model.fields)}


def _table_name(index: SchemaIndex, by_module: Mapping[str, str], module: str) -> str:
    table = index.tables.get(by_module.get(module, ""))
    return table.name if table else ""
