"""Policy: what the configuration allows beyond the rules. Read by walk.py and inputs.py.

Everything is forbidden until it is named here, since its code or its audience is outside what the schema shows.
"""

from __future__ import annotations

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

    def allowed(self) -> tuple[str, ...]:
        """What the values of variables may use: fields (`row_type.field`) and writable tables, sorted."""
        return tuple(sorted({name for name in self.safe_functions if "." in name} | self.writable_shared_tables))
