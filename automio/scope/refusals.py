"""The fixed texts of every refusal: what scope/ says when it doesn't let an operation pass. Used by all of scope/.

A refusal depends on the document, the variables and the schema, never on data, and never shows an organization that the
caller did not write. Codes group them:

| code | what is wrong |
|---|---|
| AUTOMIO-201 | no organization, or a value that is none |
| AUTOMIO-202 | a row, or a check, names another organization |
| AUTOMIO-203 | the organization of rows would be changed |
| AUTOMIO-204 | a write to a shared table |
| AUTOMIO-205 | an order that ranks by rows of others |
| AUTOMIO-206 | a function, computed field, action or remote field |
| AUTOMIO-207 | a filter, key or change that would be missing, null or empty |
| AUTOMIO-208 | the document is broken, or says something that the schema index doesn't know |
| AUTOMIO-209 | a change of a foreign key, or of a key that others refer to, that cannot be checked before it is sent |
"""

from __future__ import annotations

from collections.abc import Iterable

from automio.errors import ScopeError

ALL_ROWS_HINT = "To mean every row of the organization, give all_rows()."


def no_organization() -> ScopeError:
    return ScopeError("no organization", code="AUTOMIO-201", hint="Pass organization_id=… or set one on API().")


def not_an_organization() -> ScopeError:
    return ScopeError(
        "the organization is not an integer of 32 bits", code="AUTOMIO-201", hint="Pass an int, not a bool or a string."
    )


def other_organization(path: str = "") -> ScopeError:
    return ScopeError(
        "organization_id of another organization",
        path=path,
        code="AUTOMIO-202",
        hint="Leave organization_id out: it is filled in.",
    )


def cannot_be_changed(path: str = "") -> ScopeError:
    return ScopeError("organization_id cannot be changed", path=path, code="AUTOMIO-203")


def read_only(path: str = "") -> ScopeError:
    return ScopeError(
        "shared table is read-only",
        path=path,
        code="AUTOMIO-204",
        hint="Every organization sees its rows. Name it in writable_shared_tables if this application owns it.",
    )


def order_by_tenant(path: str = "") -> ScopeError:
    return ScopeError("order_by over a tenant relationship cannot be scoped", path=path, code="AUTOMIO-205")


def undeclared_function(name: str, path: str = "") -> ScopeError:
    return ScopeError(
        "function is not declared safe",
        path=path,
        code="AUTOMIO-206",
        hint=f"If {name} only shows rows of the caller's organization, name it in safe_functions.",
    )


def unknown_below(name: str, path: str = "") -> ScopeError:
    return ScopeError(
        f"what {name} returns is not a known row type, so what is below it cannot be scoped",
        path=path,
        code="AUTOMIO-206",
    )


def null_comparison(path: str = "") -> ScopeError:
    return ScopeError(
        "null in a comparison",
        path=path,
        code="AUTOMIO-207",
        hint="To ask for missing values write _is_null; to compare with nothing leave the key out.",
    )


def null_filter(path: str = "") -> ScopeError:
    return ScopeError("null inside a filter", path=path, code="AUTOMIO-207", hint="Leave the key out instead.")


def absent_filter(path: str = "") -> ScopeError:
    return ScopeError("an update or delete needs its filter", path=path, code="AUTOMIO-207", hint=ALL_ROWS_HINT)


def empty_filter(path: str = "") -> ScopeError:
    return ScopeError("an empty filter in an update or delete", path=path, code="AUTOMIO-207", hint=ALL_ROWS_HINT)


def absent_comparison(path: str = "") -> ScopeError:
    return ScopeError(
        "a variable of a filter is not given",
        path=path,
        code="AUTOMIO-207",
        hint="An update or delete needs all of them: to mean every row, declare a whole filter and give all_rows().",
    )


def missing_key(path: str = "") -> ScopeError:
    return ScopeError("a key value is null or missing", path=path, code="AUTOMIO-207")


def missing_value(path: str = "") -> ScopeError:
    return ScopeError("a value is null or missing", path=path, code="AUTOMIO-207")


def no_change(names: Iterable[str]) -> ScopeError:
    return ScopeError(
        "an update without a change", code="AUTOMIO-207", hint=f"Give at least one of {', '.join(names)}."
    )


def unset_inside(path: str = "") -> ScopeError:
    return ScopeError("UNSET inside a filter", path=path, code="AUTOMIO-207", hint="Leave the key out instead.")


def unchecked(what: str, path: str = "") -> ScopeError:
    return ScopeError(
        f"{what} cannot be checked before it is sent",
        path=path,
        code="AUTOMIO-209",
        hint="Read the row and give the new value in _set.",
    )


def unchecked_operator(path: str = "") -> ScopeError:
    return unchecked("an operator on a foreign key", path)


def unchecked_upsert(path: str = "") -> ScopeError:
    return unchecked("an upsert that replaces a key which other rows refer to", path)


def broken(message: str, path: str = "", *, hint: str | None = None) -> ScopeError:
    """The document or a value is not what GraphQL or the schema allows. `message` says what."""
    return ScopeError(message, path=path, code="AUTOMIO-208", hint=hint)


def unknown_field(name: str, table: str, known: Iterable[str], path: str = "") -> ScopeError:
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    hint = f"Did you mean {close[0]!r}?" if close else "If the schema has changed: `automio pull`."
    return broken(f"{table} has no field {name!r}", path, hint=hint)
