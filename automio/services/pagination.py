"""How a provider's list goes on: (answer, items so far) -> what to ask next. Used by `paginate` in integrations.py.

    by=Offset(100)                           ?limit=100&offset=0, 100, …
    by=Pages(size=50)                        ?page=1&per_page=50, …
    by=Cursor("meta.next_cursor", "cursor")  the value there becomes the parameter of the next request
    by=Links()                               the header `Link: <…>; rel="next"`

Offset and Pages end at an empty page, not at a short one: providers cut `limit` to a maximum of their own, and a list must
not end there in silence. The one request more is saved where the answer names the number of all (`total="totalCount"`).
A list that leads back to the same page is an error, not a loop.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

from automio.errors import IntegrationError
from automio.services.integration_values import ApiResponse


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a page: another endpoint (None: the same) and the parameters that it adds; None: no more pages."""

    params: Mapping[str, Any]
    endpoint: str | None = None
    whole: bool = False
    """Whether `params` are all parameters, the caller's too."""


class Paging(Protocol):
    """A way to go through pages; one of your own has these two."""

    def first(self) -> Ask:
        """The first page."""
        ...

    def after(self, asked: Ask, data: Any, response: ApiResponse, items: int, all_items: int) -> Ask | None:
        """The page behind this one, which had `items` items, `all_items` with those before; None when it was the last."""
        ...


@dataclass(frozen=True, slots=True)
class Offset:
    """`limit` and `offset`. `total`: where the answer names the number of all items ("totalCount", "meta.total")."""

    limit: int = 100
    limit_name: str = "limit"
    offset_name: str = "offset"
    total: str = ""

    def first(self) -> Ask:
        """From the start."""
        return Ask({self.limit_name: self.limit, self.offset_name: 0})

    def after(self, asked: Ask, data: Any, response: ApiResponse, items: int, all_items: int) -> Ask | None:
        """Behind the items that came."""
        if not items or _reached(self.total, data, all_items):
            return None
        return Ask({self.limit_name: self.limit, self.offset_name: all_items})


@dataclass(frozen=True, slots=True)
class Pages:
    """A page's number, and how many items it has (None: the provider's default)."""

    size: int | None = None
    page_name: str = "page"
    size_name: str = "per_page"
    first_page: int = 1
    total: str = ""

    def first(self) -> Ask:
        """Page `first_page`."""
        return self._page(self.first_page)

    def after(self, asked: Ask, data: Any, response: ApiResponse, items: int, all_items: int) -> Ask | None:
        """The next number."""
        if not items or _reached(self.total, data, all_items):
            return None
        return self._page(int(asked.params[self.page_name]) + 1)

    def _page(self, number: int) -> Ask:
        return Ask({self.page_name: number} | ({} if self.size is None else {self.size_name: self.size}))


@dataclass(frozen=True, slots=True)
class Cursor:
    """`next`: where the answer has the cursor of the next page; absent, null or "" says that this page was the last."""

    next: str
    name: str = "cursor"

    def first(self) -> Ask:
        """Without a cursor."""
        return Ask({})

    def after(self, asked: Ask, data: Any, response: ApiResponse, items: int, all_items: int) -> Ask | None:
        """The cursor that came."""
        cursor = at(data, self.next)
        if cursor is None or cursor == "" or cursor is False:
            return None
        if not isinstance(cursor, str | int):
            raise IntegrationError(f"integrations.paginate: {self.next} is no cursor", status=response.status_code)
        return Ask({self.name: cursor})


@dataclass(frozen=True, slots=True)
class Links:
    """The header Link of RFC 8288. A link to another server is an error: the connection's credentials belong to this one."""

    def first(self) -> Ask:
        """The endpoint as it is."""
        return Ask({})

    def after(self, asked: Ask, data: Any, response: ApiResponse, items: int, all_items: int) -> Ask | None:
        """The link with rel=next."""
        header = next((value for name, value in response.headers.items() if name.lower() == "link"), "")
        link = next_link(header)
        if link is None:
            return None
        here, there = urlsplit(response.url), urlsplit(urljoin(response.url, link))
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            raise IntegrationError(
                "integrations.paginate: the next page is on another server", status=response.status_code
            )
        params = dict(parse_qsl(there.query, keep_blank_values=True))
        if there.path == here.path:
            return Ask(params, whole=True)
        return Ask(params, f"{here.path} -> {there.path}", whole=True)


def next_link(header: str) -> str | None:
    """The target of rel=next in a Link header; None when there is none."""
    for found in re.finditer(r'<([^>]*)>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:"[^"]*"|[^\s",;]+))?)*)', header):
        relations = re.search(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s",;]+))', found[2], re.IGNORECASE)
        if relations and "next" in (relations[1] or relations[2]).lower().split():
            return found[1]
    return None


def moved(endpoint: str, change: str) -> str:
    """The endpoint of a link to another path. `change` is `<path of this page> -> <path of the next>`, both below the
    integration's base, which this side does not know but for what stands before the endpoint."""
    here, _, there = change.partition(" -> ")
    base = here.removesuffix(endpoint) if here.endswith(endpoint) else unquote(here).removesuffix(unquote(endpoint))
    if not there.startswith(base) or (base == here and endpoint not in ("", "/")):
        raise IntegrationError("integrations.paginate: the next page is outside of the integration")
    return there[len(base) :] or "/"


def at(value: Any, path: str) -> Any:
    """`meta.next` -> value["meta"]["next"]; None where there is nothing."""
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def items_in(data: Any, path: str) -> list[Any]:
    """The items of a page: at `path`, else the answer itself when it is a list, else its only list.

    Raises IntegrationError when that is not clear.
    """
    found = at(data, path) if path else data
    if isinstance(found, list):
        return found
    if not path and isinstance(data, Mapping):
        lists = list(_lists(data))
        if len(lists) == 1:
            return lists[0]
    where = f"no list at {path}" if path else "no single list; name it, as in items='offers'"
    raise IntegrationError(f"integrations.paginate: the answer has {where}")


def _lists(data: Mapping[str, Any]) -> Iterator[list[Any]]:
    for value in data.values():
        if isinstance(value, list):
            yield value


def _reached(total: str, data: Any, all_items: int) -> bool:
    number = at(data, total) if total else None
    return type(number) is int and all_items >= number
