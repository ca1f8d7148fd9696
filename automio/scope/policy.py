"""Policy: what the configuration allows beyond the rules. Read by walk.py and inputs.py.

Everything is forbidden until it is named here, since its code or its audience is outside what the schema shows.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """`safe_functions`: root fields by name (`search_orders`), computed and remote fields as `row_type.field`.

    A safe root field that returns rows is still filtered and walked; naming it says that what happens *inside* it shows
    and changes rows of the caller's organization alone. `writable_shared_tables`: row types without an organization that
    this application may write although every organization sees them.
    """

    safe_functions: frozenset[str] = frozenset()
    writable_shared_tables: frozenset[str] = frozenset()

    def allowed(self, tables: Container[str]) -> tuple[str, ...]:
        """What the values of variables may use: fields (`row_type.field`) and writable tables, sorted.

        `tables`: the row types that the document can reach. Rules carry this list, and a schema may have thousands."""
        names = {name for name in self.safe_functions if "." in name} | self.writable_shared_tables
        return tuple(sorted(name for name in names if name.partition(".")[0] in tables))
