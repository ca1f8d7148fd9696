"""api.integrations: calls to providers through the platform, which holds the credentials. Next: rest.py.

Arguments are checked by integration_requests.py, answers are read by integration_values.py, streams by integration_stream.py,
pages are followed by pagination.py. Each method has a twin `…_async`; the sync one runs it on the background loop.

**What is a value, what is raised.** Whatever the provider answers, errors too, is a value: `(data, ApiResponse)`, in parallel
calls one for each item, in the order of the items. Raised are: what the platform refuses (IntegrationError; 403 is
IntegrationAccessDenied, 402 PaymentRequired), a request without a usable answer (TransportError), a stream that ends early
(StreamBroken), arguments that can't be sent (IntegrationError, status 0), an absent token (ConfigError).

**Which connection** a call uses is said by the call: `connection_id` (an integer id or an alias) and, for a connection of
another organization, `organization_id`. Without one it is CONNECTION_ID of the settings, else the platform's default. No call
changes what another one does.

**Repetition.** GET requests are repeated after failures that pass (429, 502, 503, 504, a broken connection; Retry-After is
obeyed up to 30 s), others only when they surely did not reach the platform; `repeat=` says otherwise. Writes carry an
Idempotency-Key, the same in each repetition; `idempotency_key=` names one, for repetitions by another process.

**Time.** `timeout`, in seconds, is for the whole request; for a stream it is the longest silence. The default is that of the
settings, for parallel calls and a second more for each item.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from automio.errors import ConfigError, IntegrationError
from automio.request import UNSET
from automio.runtime.call import Repeat
from automio.runtime.client import Client, run_sync
from automio.runtime.per_loop import PerLoop
from automio.services.integration_requests import (
    body_of,
    check_url_params,
    filled,
    form_of,
    integration_path,
    items_of,
    json_marked,
    method_of,
    need_connections,
    path_of,
    placeholders,
    reference,
    refuse,
    repetition,
    text_headers,
    write_headers,
)
from automio.services.integration_stream import AsyncStream, Stream, stream_items
from automio.services.integration_values import (
    ApiResponse,
    Connections,
    Integration,
    IntegrationPage,
    ParallelCallResponse,
    answer_object,
    answer_value,
    call_answer,
    connections_of,
    identifier,
    integration_of,
    page_of,
    parallel_answer,
    unusable,
)
from automio.services.pagination import Paging, items_in, moved
from automio.services.rest import Rest

AnyIntegration: TypeAlias = str | Integration
Reference: TypeAlias = int | str | None
"""The id of a connection or organization; a connection's may be an alias."""


class Integrations:
    """The integrations of one API(). Safe from any thread and event loop."""

    def __init__(self, client: Client, rest: PerLoop[Rest]) -> None:
        self._settings = client.settings
        self._rest = rest

    # What there is.

    def get_integration(self, integration_id: str, connection_id: Reference = None) -> Integration:
        """The integration. Raises IntegrationError, `.status` 404 when there is none of this id."""
        return run_sync(self.get_integration_async(integration_id, connection_id))

    async def get_integration_async(self, integration_id: str, connection_id: Reference = None) -> Integration:
        """`get_integration` for async code."""
        source = "integrations.get_integration"
        params = {"connection_id": reference(connection_id, "connection_id", source)}
        return integration_of(await self._get(f"{integration_path(integration_id, source)}/", params, source), source)

    def get_integrations(self, page: int | None = None, per_page: int | None = None) -> IntegrationPage:
        """A page of integrations in `.results`; `.count` of all. Raises IntegrationError."""
        return run_sync(self.get_integrations_async(page, per_page))

    async def get_integrations_async(self, page: int | None = None, per_page: int | None = None) -> IntegrationPage:
        """`get_integrations` for async code."""
        source = "integrations.get_integrations"
        reply = await self._rest.current().request(
            "GET", "/integrations/", source=source, params={"page": page, "per_page": per_page}
        )
        return page_of(answer_object(reply), source)

    def my_connections(self, integration_id: AnyIntegration) -> Connections:
        """The connected accounts of the caller's organization. Raises IntegrationError."""
        return run_sync(self.my_connections_async(integration_id))

    async def my_connections_async(self, integration_id: AnyIntegration) -> Connections:
        """`my_connections` for async code."""
        source = "integrations.my_connections"
        value = await self._get(f"{integration_path(integration_id, source)}/get_connections/", {}, source)
        own = self._settings.organization_id
        return Connections({own: connections_of(value, own, source)})

    def table_connections(self, app_id: int | str, integration_id: AnyIntegration, table: str) -> Connections:
        """The connected accounts that an app may use for a table, of every organization. Raises IntegrationError."""
        return run_sync(self.table_connections_async(app_id, integration_id, table))

    async def table_connections_async(
        self, app_id: int | str, integration_id: AnyIntegration, table: str
    ) -> Connections:
        """`table_connections` for async code."""
        source = "integrations.table_connections"
        path = f"{integration_path(integration_id, source)}/table_connections/"
        params = {"app_id": reference(app_id, "app_id", source), "table": table}
        value = await self._get(path, params, source)
        if not isinstance(value, dict):
            raise unusable(source, "is no object of organizations", 200)
        ids = {key: identifier(key) for key in value}
        return Connections({ids[key]: connections_of(found, ids[key], source) for key, found in value.items()})

    def all_connections(
        self, integration: AnyIntegration, table_name: str | None = None, app_id: int | str | None = None
    ) -> Connections:
        """Connected accounts: an iterable of `.id` and `.name`, `.items()` by organization.

        With a table's name: those that the app (`app_id`, default APP_ID) may use for it, of every organization. Without
        one: those of the caller's own. Raises IntegrationError, ConfigError when the app is not known.
        """
        return run_sync(self.all_connections_async(integration, table_name, app_id))

    async def all_connections_async(
        self, integration: AnyIntegration, table_name: str | None = None, app_id: int | str | None = None
    ) -> Connections:
        """`all_connections` for async code."""
        if table_name is None:
            return await self.my_connections_async(integration)
        app = self._settings.app_id if app_id is None else app_id
        if app is None:
            raise ConfigError("APP_ID is not set.", hint="Set it in the environment or .env, or pass app_id=.")
        return await self.table_connections_async(app, integration, table_name)

    # One call.

    def call(
        self,
        integration: AnyIntegration,
        method: str = "GET",
        endpoint: str = "/",
        connection_id: Reference = None,
        organization_id: Reference = None,
        table: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = UNSET,
        data: Any = None,
        files: Any = None,
        url_params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        repeat: Repeat = Repeat.WHEN_SAFE,
        idempotency_key: str | None = None,
    ) -> tuple[Any, ApiResponse]:
        """The provider's answer: its data (JSON value, text, or bytes of a binary body) and how it answered.

        An error of the provider is no exception: look at `.ok`. `{names}` in the endpoint stand for `url_params`. `files`
        as in requests. Raises IntegrationError, TransportError, ConfigError.
        """
        return run_sync(
            self.call_async(
                integration,
                method,
                endpoint,
                connection_id,
                organization_id,
                table,
                headers=headers,
                params=params,
                json=json,
                data=data,
                files=files,
                url_params=url_params,
                timeout=timeout,
                repeat=repeat,
                idempotency_key=idempotency_key,
            )
        )

    async def call_async(
        self,
        integration: AnyIntegration,
        method: str = "GET",
        endpoint: str = "/",
        connection_id: Reference = None,
        organization_id: Reference = None,
        table: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        json: Any = UNSET,
        data: Any = None,
        files: Any = None,
        url_params: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        repeat: Repeat = Repeat.WHEN_SAFE,
        idempotency_key: str | None = None,
    ) -> tuple[Any, ApiResponse]:
        """`call` for async code."""
        source = "integrations.call"
        method, endpoint = method_of(method, source), path_of(endpoint, source)
        check_url_params(placeholders(endpoint), url_params, source)
        body = {
            "method": method,
            "endpoint": filled(endpoint, url_params),
            "request_headers": json_marked(text_headers(headers, source), json),
            "request_params": dict(params or {}),
            "data": body_of(data, json, source),
        }
        content: dict[str, Any] = {"data": form_of(body, files, source)} if files else {"json": body}
        reply = await self._rest.current().request(
            "POST",
            f"{integration_path(integration, source)}/call/",
            source=source,
            params=self._where(connection_id, organization_id, table, source),
            headers=write_headers(method, idempotency_key),
            seconds=UNSET if timeout is None else timeout,
            repeat=repetition(method, repeat),
            **content,
        )
        return call_answer(reply)

    # Many calls.

    def parallel_call(
        self,
        integration: AnyIntegration,
        method: str,
        endpoint: str,
        data_list: Sequence[Mapping[str, Any]],
        table: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        repeat: Repeat = Repeat.WHEN_SAFE,
        idempotency_key: str | None = None,
    ) -> list[ParallelCallResponse]:
        """The answers, in the order of `data_list`; the platform makes the calls, several at a time for each connection.

        An item has `connection_id`, and `organization_id`, `params`, `json` or `data`, `url_params` as it needs; `headers`
        and `params` are for all. A failed item is a value. Raises IntegrationError, TransportError, ConfigError.
        """
        return run_sync(
            self.parallel_call_async(
                integration,
                method,
                endpoint,
                data_list,
                table,
                headers=headers,
                params=params,
                timeout=timeout,
                repeat=repeat,
                idempotency_key=idempotency_key,
            )
        )

    async def parallel_call_async(
        self,
        integration: AnyIntegration,
        method: str,
        endpoint: str,
        data_list: Sequence[Mapping[str, Any]],
        table: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        repeat: Repeat = Repeat.WHEN_SAFE,
        idempotency_key: str | None = None,
    ) -> list[ParallelCallResponse]:
        """`parallel_call` for async code."""
        source = "integrations.parallel_call"
        body = self._parallel(method, endpoint, data_list, headers, params, source)
        need_connections(body["data_list"], source)
        path = f"{integration_path(integration, source)}/parallel_call/"
        return await self._together(path, {"table": table}, body, timeout, repeat, idempotency_key, source)

    def parallel_call_for_connection(
        self,
        integration: AnyIntegration,
        method: str,
        endpoint: str,
        data_list: Sequence[Mapping[str, Any]],
        connection_id: Reference = None,
        organization_id: Reference = None,
        table: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        repeat: Repeat = Repeat.WHEN_SAFE,
        idempotency_key: str | None = None,
    ) -> list[ParallelCallResponse]:
        """`parallel_call` with one connection for all items; items name none. Raises the same."""
        return run_sync(
            self.parallel_call_for_connection_async(
                integration,
                method,
                endpoint,
                data_list,
                connection_id,
                organization_id,
                table,
                headers=headers,
                params=params,
                timeout=timeout,
                repeat=repeat,
                idempotency_key=idempotency_key,
            )
        )

    async def parallel_call_for_connection_async(
        self,
        integration: AnyIntegration,
        method: str,
        endpoint: str,
        data_list: Sequence[Mapping[str, Any]],
        connection_id: Reference = None,
        organization_id: Reference = None,
        table: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
        repeat: Repeat = Repeat.WHEN_SAFE,
        idempotency_key: str | None = None,
    ) -> list[ParallelCallResponse]:
        """`parallel_call_for_connection` for async code."""
        source = "integrations.parallel_call_for_connection"
        body = self._parallel(method, endpoint, data_list, headers, params, source)
        for number, item in enumerate(body["data_list"]):
            if not item.keys().isdisjoint(("connection_id", "organization_id")):
                raise refuse(
                    source, f"data_list[{number}] names a connection of its own; parallel_call takes such items"
                )
        where = self._where(connection_id, organization_id, table, source)
        path = f"{integration_path(integration, source)}/parallel_call_for_connection/"
        return await self._together(path, where, body, timeout, repeat, idempotency_key, source)

    def parallel_call_stream(
        self,
        integration: AnyIntegration,
        method: str,
        endpoint: str,
        data_list: Iterable[Mapping[str, Any]],
        connection_id: Reference = None,
        organization_id: Reference = None,
        table: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> Stream:
        """Answers as they come: `{"data", "response", "index", "total", …}`, at the end `{"final": True, "total_processed"}`.

        `index` is the place in `data_list`, which may be a generator (then `total` is None); memory stays constant. Leaving
        the loop stops what is in flight. The iterator raises IntegrationError, StreamBroken, TransportError, ConfigError.
        """
        return Stream(
            self._stream(
                integration,
                method,
                endpoint,
                data_list,
                self._where(connection_id, organization_id, table, "integrations.parallel_call_stream"),
                headers,
                params,
                timeout,
                idempotency_key,
            )
        )

    def parallel_call_stream_async(
        self,
        integration: AnyIntegration,
        method: str,
        endpoint: str,
        data_list: Iterable[Mapping[str, Any]],
        connection_id: Reference = None,
        organization_id: Reference = None,
        table: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        idempotency_key: str | None = None,
    ) -> AsyncStream:
        """`parallel_call_stream` for async code: `async for item in …`."""
        return AsyncStream(
            self._stream(
                integration,
                method,
                endpoint,
                data_list,
                self._where(connection_id, organization_id, table, "integrations.parallel_call_stream"),
                headers,
                params,
                timeout,
                idempotency_key,
            )
        )

    # Pages.

    def paginate(
        self,
        integration: AnyIntegration,
        endpoint: str,
        by: Paging,
        *,
        items: str = "",
        connection_id: Reference = None,
        organization_id: Reference = None,
        table: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        url_params: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> Iterator[Any]:
        """The items of a provider's list, page after page, as pagination.py's Offset, Pages, Cursor or Links says.

        `items`: where a page has its list ("data.offers"; default: its only one). A page with an error status is an
        IntegrationError: a list must not end in silence. Raises what `call` raises.
        """
        pages = self.paginate_async(
            integration,
            endpoint,
            by,
            items=items,
            connection_id=connection_id,
            organization_id=organization_id,
            table=table,
            headers=headers,
            params=params,
            url_params=url_params,
            timeout=timeout,
        )
        ended = object()
        while (item := run_sync(_next(pages, ended))) is not ended:
            yield item

    async def paginate_async(
        self,
        integration: AnyIntegration,
        endpoint: str,
        by: Paging,
        *,
        items: str = "",
        connection_id: Reference = None,
        organization_id: Reference = None,
        table: str | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        url_params: Mapping[str, Any] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> AsyncIterator[Any]:
        """`paginate` for async code."""
        source = "integrations.paginate"
        check_url_params(placeholders(path_of(endpoint, source)), url_params, source)
        path = filled(path_of(endpoint, source), url_params)
        ask, count = by.first(), 0
        while True:
            sent = dict(ask.params) if ask.whole else {**(params or {}), **ask.params}
            data, response = await self.call_async(
                integration,
                "GET",
                path,
                connection_id,
                organization_id,
                table,
                headers=headers,
                params=sent,
                timeout=timeout,
            )
            if not response.ok:
                raise IntegrationError(
                    f"{source}: a page was refused by the provider (status {response.status_code}) after {count} items",
                    status=response.status_code,
                    detail=response.text[:1000],
                )
            found = items_in(data, items)
            count += len(found)
            for item in found:
                yield item
            after = by.after(ask, data, response, len(found), count)
            if after is None:
                return
            if after == ask:
                raise IntegrationError(f"{source}: the page leads to itself, after {count} items", status=200)
            if after.endpoint is not None:
                path = moved(path, after.endpoint)
            ask = after

    # How they travel.

    async def _get(self, path: str, params: Mapping[str, object], source: str) -> Any:
        return answer_value(await self._rest.current().request("GET", path, source=source, params=params))

    def _where(self, connection: Reference, organization: Reference, table: str | None, source: str) -> dict[str, Any]:
        chosen = self._settings.connection_id if connection is None else connection
        return {
            "connection_id": reference(chosen, "connection_id", source),
            "organization_id": reference(organization, "organization_id", source),
            "table": table,
        }

    def _parallel(
        self,
        method: str,
        endpoint: str,
        data_list: Sequence[Any],
        headers: Any,
        params: Any,
        source: str,
        first: int = 0,
    ) -> dict[str, Any]:
        endpoint = path_of(endpoint, source)
        return {
            "method": method_of(method, source),
            "endpoint": endpoint,
            "data_list": items_of(data_list, endpoint, params, source, first),
            "request_headers": text_headers(headers, source),
            "streaming": False,
        }

    async def _together(
        self,
        path: str,
        params: dict[str, Any],
        body: dict[str, Any],
        timeout: float | None,  # noqa: ASYNC109
        repeat: Repeat,
        key: str | None,
        source: str,
    ) -> list[ParallelCallResponse]:
        items = body["data_list"]
        if not items:
            return []
        reply = await self._rest.current().request(
            "POST",
            path,
            source=source,
            params=params,
            json=body,
            headers=write_headers(body["method"], key),
            seconds=self._settings.timeout + len(items) if timeout is None else timeout,
            repeat=repetition(body["method"], repeat),
        )
        answer = answer_object(reply)
        responses = answer.get("responses")
        if not isinstance(responses, list) or len(responses) != len(items):
            raise unusable(source, f"has not the {len(items)} responses that were asked for", reply.status)
        connection, organization = params.get("connection_id"), params.get("organization_id")
        return [
            parallel_answer(
                found, source, item.get("connection_id", connection), item.get("organization_id", organization)
            )
            for found, item in zip(responses, items, strict=True)
        ]

    def _stream(
        self,
        integration: AnyIntegration,
        method: str,
        endpoint: str,
        data_list: Iterable[Mapping[str, Any]],
        where: dict[str, Any],
        headers: Any,
        params: Any,
        silence: float | None,
        key: str | None,
    ) -> Any:
        source = "integrations.parallel_call_stream"
        if isinstance(data_list, Mapping | str | bytes) or not isinstance(data_list, Iterable):
            raise refuse(source, "data_list is a list of dictionaries")
        named = {name: where.pop(name) for name in ("connection_id", "organization_id") if where[name] is not None}
        self._parallel(method, endpoint, [], headers, params, source)
        key_headers = write_headers(method_of(method, source), key)

        def body_of_batch(batch: list[Any], first: int) -> dict[str, Any]:
            body = self._parallel(method, endpoint, batch, headers, params, source, first)
            return body | {"request_params": {}, "streaming": True}

        def headers_of(number: int) -> dict[str, str]:
            return {name: f"{value}-{number}" if number else value for name, value in key_headers.items()}

        total = len(data_list) if isinstance(data_list, Sequence) else None
        path = f"{integration_path(integration, source)}/parallel_call/"
        return stream_items(
            self._rest.current, path, named | where, data_list, total, body_of_batch, headers_of, silence
        )


async def _next(items: AsyncIterator[Any], ended: object) -> Any:
    return await anext(items, ended)
