"""What things are called, in Hasura and in Python. Pure text in, text out; no imports of ours.

Hasura: tables of an app are named `app_<APP_ID>_<table>`; everything else is somebody else's name and is kept whole.
Its own words (arguments, `affected_rows`) have two spellings, by naming convention: see `word`.

Python: every name that a user types is snake_case. The rules, in order, for the names of one scope (the columns and
relationships of a table, the tables of an app):
1. `orderId`, `OrderId`, `ORDER_ID` and `order_id` all want `order_id`. A name that is already snake_case keeps it.
   The others, in sorted order, get `_2`, `_3`, … until free. Both stay reachable; generation reports the collision.
2. A Python keyword gets a `_` behind it (`class_`). So does a name that pydantic or object keeps for itself
   (`model_config`, `copy`, `json`, …), since an attribute of that name would break the model.
3. A leading underscore or digit gets `field` before it, for attributes only (`_id` -> `field_id`); a name that has
   no letters at all becomes `field_<hex>`.
4. A name that `[tables."x"] names` in codegen.toml gives to a column stands before all of these.
Rejected: camelCase as it stands (editors show two styles in one model), and dropping the later of two names.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

_APP = re.compile(r"app_(\d+)_(.+)", re.DOTALL)
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NOT_WORD = re.compile(r"\W+")

# Attributes of pydantic.BaseModel and object that a field of the same name would shadow or break, and names that
# generated modules themselves need inside a class body.
RESERVED_ATTRIBUTES = frozenset(
    "copy dict json schema validate construct parse_obj parse_raw parse_file from_orm schema_json update_forward_refs "
    "model_config model_fields model_computed_fields model_extra model_fields_set model_construct model_copy "
    "model_dump model_dump_json model_json_schema model_parametrized_name model_post_init model_rebuild "
    "model_validate model_validate_json model_validate_strings mro".split()
)

RESERVED_MODULES = frozenset({"aio"})
"""Modules that a generated package has for itself."""


@lru_cache(maxsize=4096)
def split_app(name: str) -> tuple[str, str]:
    """`app_130_orders` -> ("130", "orders"); any other name -> ("", name)."""
    found = _APP.fullmatch(name)
    return (found[1], found[2]) if found else ("", name)


@lru_cache(maxsize=16384)
def snake_case(name: str) -> str:
    """`orderId` -> `order_id`, `HTTPStatus` -> `http_status`; what is snake_case already comes back unchanged."""
    return _NOT_WORD.sub("_", _BOUNDARY.sub("_", name)).lower()


@lru_cache(maxsize=4096)
def pascal_case(name: str) -> str:
    """`billing_entries` -> `BillingEntries`, `getOrder` -> `GetOrder`."""
    return "".join(part[:1].upper() + part[1:] for part in snake_case(name).split("_") if part)


def word(name: str) -> str:
    """One of Hasura's own words, as the default naming writes it: `orderBy` -> `order_by`, `_deleteAtPath` -> `_delete_at_path`.

    The naming convention `graphql-default` writes these in camelCase, and versions of Hasura differ in how many of them.
    """
    return name if name.islower() else snake_case(name)


def singular(name: str) -> str:
    """The English singular of a snake_case plural, by ending: `orders` -> `order`, `billing_entries` -> `billing_entry`.

    Only endings that are safe are touched; a word that doesn't look like a plural comes back unchanged (`status`, `news`).
    """
    head, _, word = name.rpartition("_")
    lower = word.lower()
    if lower in ("news", "series", "species"):
        return name
    if lower.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif lower.endswith(("sses", "shes", "ches", "xes", "zes", "buses", "nuses", "ruses", "tuses")):
        word = word[:-2]
    elif lower.endswith("s") and not lower.endswith(("ss", "us", "is")) and len(word) > 2:
        word = word[:-1]
    return f"{head}_{word}" if head else word


def python_name(name: str) -> str:
    """The attribute name that one GraphQL name wants, before collisions (rules 1 to 3 above)."""
    wanted = snake_case(name)
    if not wanted.strip("_"):
        return f"field_{name.encode().hex()}"
    if wanted[0] == "_" or wanted[0].isdigit():
        wanted = f"field_{wanted.lstrip('_')}"
    if keyword.iskeyword(wanted) or wanted in RESERVED_ATTRIBUTES:
        wanted += "_"
    return wanted


def python_names(names: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """GraphQL name -> Python name for all names of one scope, in the given order; no two share one (rules above).

    `given` are names that somebody chose; the others give way to them.
    """
    ordered = list(dict.fromkeys(names))
    taken = {wanted: name for name, wanted in given.items() if name in ordered} if given else {}
    for name in sorted(ordered, key=lambda n: (python_name(n) != n, n)):
        if given and name in given:
            continue
        base = wanted = python_name(name)
        number = 2
        while wanted in taken:
            wanted, number = f"{base}_{number}", number + 1
        taken[wanted] = name
    by_name = {name: wanted for wanted, name in taken.items()}
    return {name: by_name[name] for name in ordered}


def collisions(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of names that want one Python name, sorted; for the report of `generate`."""
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(python_name(name), []).append(name)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)
