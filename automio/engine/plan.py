"""Document + Catalog -> Plan: what the request reads and writes. Next: render.py.

Comes in: a validated document, the shapes of its variables, and how the caller sees the tables (`Sight`). Goes out: a Plan of
data only. Reads are planned in read.py, writes in write.py, filters, orders and the organization in filter.py.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from graphql import OperationType

from automio.engine.document import Document
from automio.engine.inputs import Reader
from automio.engine.plan_types import Plan, StreamField
from automio.engine.read import ReadPlanner, Sight
from automio.engine.refusal import Refusal
from automio.engine.write import WritePlanner


def plan_document(document: Document, sight: Sight, shapes: Sequence[Hashable]) -> Plan:
    """The plan for one shape of variables. Refuses what the schema or the caller's organization do not allow."""
    reader = Reader(document.variables, shapes)
    reads = ReadPlanner(document, sight, reader)
    if document.kind is OperationType.MUTATION:
        return WritePlanner(reads).plan()
    roots = document.roots(reader)
    if document.kind is OperationType.SUBSCRIPTION and (len(roots) != 1 and not document.many_roots):
        raise Refusal("subscriptions must select one top level field")
    plan = Plan(tuple(reads.root(one) for one in roots))
    if len(roots) > 1 and any(isinstance(one, StreamField) for one in plan.fields):
        raise Refusal("subscriptions must select one top level field")
    return plan
