"""Every rule of tenancy has a golden case, and every case says which rules it stands for.

tests/golden/scope/rules.md lists the rules. What the walk alone cannot show has a test elsewhere, named behind an arrow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from .conftest import GOLDEN

ROOT = GOLDEN.parent.parent.parent
HEADER = re.compile(r"# tenancy: ([\d., ]+)\n")
RULE = re.compile(r"- (\d+(?:\.\d+){1,2}) (\S.*?)(?: → (\S+)::(\w+))?")


@dataclass(frozen=True, slots=True)
class Rule:
    """`file` and `test` prove a rule that has no case of the walk's."""

    number: str
    text: str
    file: str
    test: str


def listed() -> list[Rule]:
    lines = [line for line in (GOLDEN / "rules.md").read_text().splitlines() if line.startswith("- ")]
    found = [RULE.fullmatch(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if match is None]
    return [Rule(m[1], m[2], m[3] or "", m[4] or "") for m in found if m is not None]


def cases() -> dict[str, list[str]]:
    """Case -> the rules that its document names."""
    found: dict[str, list[str]] = {}
    for document in sorted(GOLDEN.glob("*/document.graphql")):
        header = HEADER.match(document.read_text())
        found[document.parent.name] = header[1].split(", ") if header else []
    return found


def test_each_case_names_rules_that_are_listed() -> None:
    known = {rule.number for rule in listed()}
    nameless = [name for name, numbers in cases().items() if not numbers]
    assert not nameless, "no `# tenancy: …` in the first line"
    assert {name: left for name, numbers in cases().items() if (left := set(numbers) - known)} == {}


def test_each_rule_has_a_case_or_a_test() -> None:
    shown = {number for numbers in cases().values() for number in numbers}
    assert [rule.number for rule in listed() if not rule.test and rule.number not in shown] == []
    for rule in listed():
        if rule.test:
            assert re.search(rf"\bdef {rule.test}\(", (ROOT / rule.file).read_text()), rule


def test_numbers_are_in_order_and_stand_once() -> None:
    numbers = [[int(part) for part in rule.number.split(".")] for rule in listed()]
    assert numbers == sorted(numbers)
    assert len({rule.number for rule in listed()}) == len(numbers)
    texts = [rule.text for rule in listed() if rule.number.startswith(("4", "5"))]
    assert len(set(texts)) == len(texts)


def test_the_list_covers_the_reference(shared: Path) -> None:
    """Every step of its section 4, surface of 5, row of 6, item of 8; skipped where the reference is absent."""
    sections = dict(re.findall(r"(?ms)^## (\d+)\. (.*?)(?=^## |\Z)", (shared / "reference/tenancy.md").read_text()))
    wanted = {f"4.{number}" for number in re.findall(r"(?m)^(\d+)\. ", sections["4"])}
    wanted |= set(re.findall(r"(?m)^### (5\.\d+) ", sections["5"]))
    wanted |= {f"6.{number}" for number in re.findall(r"(?m)^\| (\d+) \|", sections["6"])}
    wanted |= {f"8.{number}" for number in re.findall(r"(?m)^(\d+)\. ", sections["8"])}
    assert len(wanted) == 11 + 14 + 18 + 4
    texts = " ".join(rule.text for rule in listed() if rule.number.startswith("9."))
    for text in re.findall(r'"([a-z_ ]+)"', sections["9"]):
        assert text in texts
    covered = {".".join(rule.number.split(".")[:2]) for rule in listed()}
    assert wanted - covered == set()
