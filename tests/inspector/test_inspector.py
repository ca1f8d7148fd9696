"""`automio diff` beside GraphQL Inspector (npm) on 30 seeded changes of the sample's schema: levels, and places that break.

Inspector judges a schema for clients that it doesn't know. Where our level of a change differs, one of `RULES` must say
why; docs/codegen.md has the same rules in words. `python tests/inspector/test_inspector.py FOLDER` prints the comparison,
where FOLDER has Inspector's node_modules.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from automio.codegen.diff import Level, compare_schemas
from automio.dialect.sdl import Sdl

HERE = Path(__file__).resolve().parent
SCHEMA = HERE.parent / "golden" / "codegen" / "sample" / "schema.graphql"
SEEDS = range(30)
ORDER = ["safe", "dangerous", "breaking"]
THEIRS = {"NON_BREAKING": "safe", "DANGEROUS": "dangerous", "BREAKING": "breaking"}


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Verdict:
    """One change of a schema: the worst level by us and by Inspector, and the places that each calls breaking."""

    what: str
    ours: str
    theirs: str
    our_breaks: frozenset[str]
    their_breaks: frozenset[str]

    def rule(self) -> str:
        """Why the levels differ; "" when nothing says why."""
        return next((why for why, holds in RULES.items() if holds(self)), "")


RULES = {
    "a new column is safe: a key of an input or a value of an enum that came with it breaks nobody": (
        lambda v: v.what.startswith("column_added") and (v.ours, v.theirs) == ("safe", "dangerous")
    ),
    "a new optional key of an input that is no new column is dangerous, as graphql-core judges it": (
        lambda v: v.what.startswith("input_key_added") and (v.ours, v.theirs) == ("dangerous", "safe")
    ),
}


def verdicts(modules: Path) -> list[Verdict]:
    change = _load(HERE / "changes.py").change
    text = SCHEMA.read_text()
    pairs = [(text, *change(text, seed)) for seed in SEEDS]
    command = ["node", str(HERE / "verdicts.mjs"), str(modules)]
    given = json.dumps([(old, new) for old, new, _ in pairs])
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return [_verdict(old, new, what, found) for (old, new, what), found in zip(pairs, answers, strict=True)]


def _verdict(old: str, new: str, what: str, theirs: list[dict[str, Any]]) -> Verdict:
    groups = compare_schemas(Sdl.read([("old", old)]), Sdl.read([("new", new)])).groups
    ours = [(group.level.value, change) for group in groups for change in group.changes]
    return Verdict(
        what,
        max((level for level, _ in ours), key=ORDER.index, default="safe"),
        max((THEIRS[one["level"]] for one in theirs), key=ORDER.index, default="safe"),
        frozenset(
            ".".join(part for part in (c.at.type, c.at.member, c.at.argument) if part)
            for level, c in ours
            if level == Level.BREAKING.value
        ),
        frozenset(one["path"] for one in theirs if one["level"] == "BREAKING"),
    )


def test_the_changes_are_many_kinds() -> None:
    change = _load(HERE / "changes.py").change
    text = SCHEMA.read_text()
    kinds = Counter(change(text, seed)[1].partition(" ")[0] for seed in SEEDS)
    assert len(kinds) >= 12
    assert [change(text, seed) for seed in SEEDS] == [change(text, seed) for seed in SEEDS]


def test_every_difference_has_a_rule(node_tools: Path) -> None:
    found = verdicts(node_tools)
    unexplained = [one for one in found if one.ours != one.theirs and not one.rule()]
    assert not unexplained
    assert sum(one.ours == one.theirs for one in found) >= 27  # 29 seen
    for one in found:
        assert one.our_breaks == one.their_breaks, one.what


if __name__ == "__main__":
    compared = verdicts(Path(sys.argv[1]))
    for one in compared:
        print(f"{one.ours:9}  {one.theirs:9}  {one.what}  {one.rule() if one.ours != one.theirs else ''}")
        if one.our_breaks != one.their_breaks:
            print("    only ours:", *sorted(one.our_breaks - one.their_breaks))
            print("    only theirs:", *sorted(one.their_breaks - one.our_breaks))
    equal = sum(one.ours == one.theirs for one in compared)
    print(f"{equal} of {len(compared)} levels are equal")
