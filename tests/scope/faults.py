"""Deliberate faults, put one at a time into a copy of the code: the tests must notice each. `python -m tests.scope.faults`.

The faults are those that implementations of tenancy usually have (tenancy reference, section 10). Each is a piece of text
of one file and what stands there instead, so a change of the code that moves the place makes test_faults.py fail until the
fault is moved along. Of the golden cases only the refusals count: the others compare text, so they would notice anything;
here the tests of behaviour have to. With names as arguments only these run. Exit code 1 when a fault was not noticed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SCOPE = ("tests/scope/test_invariants.py", "tests/scope")
RUNTIME = ("tests/runtime/test_tables.py", "tests/runtime/test_contexts.py", "tests/runtime/test_calls.py")
CHECK = ("tests/runtime/test_asking.py", "tests/tenancy/test_references.py")
ENGINE = ("tests/engine/test_tenancy.py", "tests/engine/test_engine.py")
_LEFT_OUT = "not (test_golden or test_scoped_documents_can_be_scoped_again or test_faults) or error_"
"""What compares text; the refusals among it stay."""
_COPIED = ("automio", "tests", "app_130", "queries", "schema", "codegen.toml", "platform.toml", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Fault:
    """`old` stands once in `file`; with `new` instead the tests of `tests` must fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...] = SCOPE


FAULTS = (
    # Reads: what hangs below a root field.
    Fault(
        "only_root_fields",
        "scope/walk.py",
        "rows = self.listing(relationship.table, node, at, passing)",
        "rows = node",
    ),
    Fault(
        "nested_aggregate",
        "scope/walk.py",
        "self.inside(Position(Place.AGGREGATE, target), self.listing(target, node, at), at)",
        "self.inside(Position(Place.AGGREGATE, target), node, at)",
    ),
    Fault(
        "object_relationship",
        "scope/walk.py",
        "if column is None or not self.index.is_tenant(table):\n            return rewritten, below",
        "if True:\n            return rewritten, below",
    ),
    Fault("helper_collision", "scope/walk.py", 'while f"{column}_{number}" in taken:', "while False:"),
    Fault(
        "foreign_object_shown", "scope/reshape.py", "return row if found == organization or", "return row if True or"
    ),
    Fault(
        "fragment_not_walked",
        "scope/walk.py",
        "selection_set, steps = self.selections(position, node.selection_set, place)\n            rewritten = Frag",
        "selection_set, steps = node.selection_set, ()\n            rewritten = Frag",
    ),
    Fault(
        "inline_fragment_not_walked",
        "scope/walk.py",
        "inner, below = self.selections(inside, selection.selection_set, place)",
        "inner, below = selection.selection_set, ()",
    ),
    Fault(
        "related_filter",
        "scope/inputs.py",
        "return self.wrapped(table, inner, place, why) if tenant else inner\n        if not tenant:",
        "return inner\n        if not tenant:",
    ),
    Fault(
        "related_filter_in_variable",
        "scope/turning.py",
        "return self.wrapped(table, self.bool_exp(table, value))",
        "return self.bool_exp(table, value)",
    ),
    Fault(
        "aggregate_predicate",
        "scope/inputs.py",
        'scoped = self.where(table, filter_, f"{place}.filter", missing)',
        "scoped = filter_",
    ),
    Fault("order_through_tenant", "scope/inputs.py", "elif self.index.is_tenant(target):", "elif False:"),
    Fault(
        "order_through_tenant_in_variable",
        "scope/turning.py",
        "elif role is not _OTHER and self.organization_of(target):",
        "elif False:",
    ),
    # By key, and the way back.
    Fault(
        "by_pk",
        "scope/walk.py",
        "if not self.index.is_tenant(root.table):\n            return self.inside(Pos",
        "if True:\n            return self.inside(Pos",
    ),
    Fault(
        "write_by_pk",
        "scope/walk.py",
        "RootKind.DELETE_BY_PK) and self.index.is_tenant(root.table):",
        "RootKind.DELETE_BY_PK) and False:",
    ),
    Fault(
        "reshape_by_name",
        "scope/walk.py",
        "key = nodes.response_key(node)\n        below",
        "key = node.name.value\n        below",
    ),
    Fault(
        "null_key",
        "scope/inputs.py",
        "if isinstance(node, NullValueNode):\n            raise refusals.missing_key(place)\n",
        "if False:\n            raise refusals.missing_key(place)\n",
    ),
    Fault("key_in_variable_may_be_null", "scope/turning.py", "if keys.get(key) is None]", "if key not in keys]"),
    # The scope itself.
    Fault(
        "merged_keys",
        "scope/inputs.py",
        "return nodes.both(nodes.obj([nodes.equals(column, self.organization(table, place))]), inner)",
        "equals = nodes.equals(column, self.organization(table, place))\n"
        "        more = inner.fields if isinstance(inner, ObjectValueNode) else ()\n"
        "        return nodes.obj([equals, *more])",
    ),
    Fault(
        "own_filter_trusted",
        "scope/inputs.py",
        'self.reason(place, why)\n        column = self.index.tenant_column or ""',
        'column = self.index.tenant_column or ""\n'
        "        if isinstance(inner, ObjectValueNode) and any(f.name.value == column for f in inner.fields):\n"
        "            return inner",
    ),
    Fault(
        "nullable_scope_variable",
        "scope/variables.py",
        "type=nodes.non_null(declared.type if declared and not self.scope_type else parse_type(self.scope_type)),",
        "type=parse_type(self.scope_type or 'Int'),",
    ),
    Fault(
        "scope_variable_of_the_caller",
        "runtime/scoping.py",
        "sent[operation.scope_variable] = organization",
        "sent.setdefault(operation.scope_variable, organization)",
        RUNTIME,
    ),
    Fault(
        "truthiness",
        "scope/values.py",
        "if value is None or value is UNSET:\n        raise refusals.no_organization()",
        "if not value or value is UNSET:\n        raise refusals.no_organization()",
    ),
    Fault(
        "bool_is_an_organization",
        "scope/values.py",
        "if type(value) is not int or not",
        "if not isinstance(value, int) or not",
    ),
    Fault(
        "forgotten_default",
        "scope/variables.py",
        "column=treatment.column,\n                default=default,",
        'column=treatment.column,\n                default="",',
    ),
    Fault("null_comparison", "scope/inputs.py", "if isinstance(operand, NullValueNode):", "if False:"),
    Fault(
        "null_comparison_in_variable",
        "scope/turning.py",
        "if operand is None:\n                raise refusals.null_comparison",
        "if False:\n                raise refusals.null_comparison",
    ),
    # Writes.
    Fault(
        "insert_without_organization",
        "scope/inputs.py",
        "out.append(nodes.entry(column, self.organization(table, place)))\n        return nodes.obj(out)\n\n    def own_organization",
        "pass\n        return nodes.obj(out)\n\n    def own_organization",
    ),
    Fault(
        "nested_insert_unscoped",
        "scope/inputs.py",
        "out.append(nodes.entry(key, self.insert(table, value, at)))",
        "out.append(nodes.entry(key, self.plain(value)))",
    ),
    Fault("insert_for_another_silently", "scope/inputs.py", "self.own_organization(value, at, Missing.KEEP)", "pass"),
    Fault(
        "insert_for_another_in_variable",
        "scope/turning.py",
        "if inner is not None and not self.is_own(inner):",
        "if False:",
    ),
    Fault(
        "nested_insert_in_variable",
        "scope/turning.py",
        "out[key] = self.insert(table, _given(inner))",
        "out[key] = _given(inner)",
    ),
    Fault(
        "list_coercion",
        "scope/turning.py",
        "raise\n            return rows\n        return self.insert_row(table, value)",
        "raise\n            return rows\n        return value",
    ),
    Fault(
        "on_conflict",
        "scope/inputs.py",
        'scoped = self.where(table, where, f"{place}.where", Missing.REFUSE)',
        "scoped = where",
    ),
    Fault(
        "on_conflict_in_variable",
        "scope/turning.py",
        'out["where"] = self.scoped(table, where)',
        'out["where"] = self.bool_exp(table, where)',
    ),
    Fault(
        "updates",
        "scope/inputs.py",
        'scoped = self.required_where(table, where, f"{place}.where")',
        "scoped = where or nodes.obj()",
    ),
    Fault(
        "updates_in_variable",
        "scope/turning.py",
        "out[key] = self.wrapped(table, self.required(table, inner))",
        "out[key] = self.required(table, inner)",
    ),
    Fault(
        "inc_organization",
        "scope/inputs.py",
        "if key == self.index.tenant_column:\n                raise refusals.cannot_be_changed(at)",
        "if False:\n                raise refusals.cannot_be_changed(at)",
    ),
    Fault(
        "set_organization",
        "scope/turning.py",
        "if column and column in out and not self.is_own(out[column]):",
        "if False:",
    ),
    Fault(
        "own_by_truthiness",
        "scope/turning.py",
        "return type(value) is int and value == self.organization",
        "return not value or value == self.organization",
    ),
    Fault(
        "update_of_everything",
        "scope/turning.py",
        "if value is not ALL_ROWS and not self.authored and self.surely_true(table, out):",
        "if False:",
    ),
    Fault(
        "shared_table_written",
        "scope/inputs.py",
        "if shared and table not in self.policy.writable_shared_tables:",
        "if False:",
    ),
    # Streams, functions, operations, caches, threads.
    Fault(
        "stream",
        "scope/walk.py",
        'where = self.inputs.where(root.table, given.get("where"), f"{at}.where")\n        if where is not None:\n            out.append(nodes.argument("where", where))\n        return nodes.field(node, arguments=out)\n\n    def by_pk',
        'where = given.get("where")\n        if where is not None:\n            out.append(nodes.argument("where", where))\n        return nodes.field(node, arguments=out)\n\n    def by_pk',
    ),
    Fault("function_trusted", "scope/walk.py", "if not self.inputs.is_safe(root.name):", "if False:"),
    Fault("function_taken_for_a_write", "dialect/read.py", "if self.is_row(named):  # a write", "if False:  # a write"),
    Fault(
        "function_taken_for_a_list",
        "dialect/read.py",
        "if what not in (RootKind.LIST, RootKind.AGGREGATE) or _called_alike(name, named):",
        "if True:",
    ),
    Fault(
        "computed_rows_trusted",
        "scope/walk.py",
        'if not self.inputs.is_safe(f"{table}.{name}"):\n                raise',
        "if False:\n                raise",
    ),
    Fault(
        "computed_rows_trusted_in_filter",
        "scope/inputs.py",
        'elif key in facts.other and not self.is_safe(f"{table}.{key}"):',
        "elif False:",
    ),
    Fault(
        "computed_rows_trusted_in_variable",
        "scope/turning.py",
        "for name, r in table.relationships.items() if name in table.other}",
        "for name, r in table.relationships.items() if False}",
    ),
    Fault(
        "first_operation",
        "scope/document.py",
        "operations = [d for d in operations if d.name and d.name.value == operation_name]",
        "operations = operations[:1]",
    ),
    Fault(
        "kept_without_reach",
        "services/tables.py",
        "key = (document, operation_name, app, table, scoped)",
        "key = (document, operation_name, app, table)",
        RUNTIME,
    ),
    Fault("thread_gets_the_default", "runtime/client.py", "_overrides.count", "(0 and _overrides.count)", RUNTIME),
    # The check before a mutation, towards a server that has no second lock.
    Fault("check_skipped", "runtime/asking.py", "asking = question(operation)", "asking = None", CHECK),
    Fault(
        "check_counts_keys_of_all",
        "scope/check.py",
        'where = f"{{_and: [{{{column}: {{_eq: {organization}}}}}, {{{key}: {{_in: ${part.variable}}}}}]}}"',
        'where = f"{{{key}: {{_in: ${part.variable}}}}}"',
        CHECK,
    ),
    Fault(
        "check_forgets_rows_of_nobody",
        "scope/check.py",
        'yield f"{{{to.via}: {{{column}: {{_is_null: true}}}}}}"',
        "continue",
        CHECK,
    ),
    Fault("check_merges_conditions", "scope/check.py", "{{_or: [{theirs}]}}", "{{_and: [{theirs}]}}", CHECK),
    Fault(
        "check_looks_at_rows_of_all",
        "scope/check.py",
        "else guard.where}",
        "else '{}'}",
        CHECK,
    ),
    Fault(
        "check_trusts_keys_of_upserts",
        "scope/walk.py",
        'integrity.new = given.keys().isdisjoint(("on_conflict", "onConflict"))',
        "integrity.new = True",
        CHECK,
    ),
    # The second lock.
    Fault(
        "engine_lock", "engine/filter.py", "return self.bound and table.access is Access.TENANT", "return False", ENGINE
    ),
)


def apply(fault: Fault, root: Path) -> str:
    """Puts the fault into the code below `root`; the text that stood there before. AssertionError when it doesn't fit."""
    path = root / "automio" / fault.file
    text = path.read_text()
    assert text.count(fault.old) == 1, f"{fault.name}: its place stands {text.count(fault.old)} times in {fault.file}"
    path.write_text(text.replace(fault.old, fault.new))
    return text


def run(fault: Fault, root: Path) -> str | None:
    """The first test that notices the fault, None when none does."""
    before = apply(fault, root)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-k", _LEFT_OUT, *fault.tests],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
            timeout=900,
        )
    finally:
        (root / "automio" / fault.file).write_text(before)
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    assert found, f"{fault.name}: pytest ended with {done.returncode} and no test:\n{done.stdout[-2000:]}{done.stderr}"
    return found[1]


def main(names: list[str]) -> int:
    chosen = [fault for fault in FAULTS if not names or fault.name in names]
    missed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="automio-faults-") as folder:
        root = Path(folder) / "copy"
        for name in _COPIED:
            source, target = ROOT / name, root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                root.mkdir(exist_ok=True)
                shutil.copy(source, target)
        for fault in chosen:
            by = run(fault, root)
            print(f"{'noticed' if by else 'MISSED '}  {fault.name:34} {by or ''}", flush=True)
            if by is None:
                missed.append(fault.name)
    print(
        f"{len(chosen) - len(missed)} of {len(chosen)} faults noticed"
        + (f"; missed: {', '.join(missed)}" if missed else "")
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
