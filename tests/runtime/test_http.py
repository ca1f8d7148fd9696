"""The wire when things go wrong: what is repeated, what is not, and what the exception says about the server."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import weakref
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest
import stamina

from automio.errors import ConnectError, ProtocolError, RequestTimeout, ScopeError, TransportError
from automio.runtime.call import Repeat
from automio.runtime.client import run, run_async
from automio.runtime.scoping import ScopedOperation
from automio.runtime.transport import Reply
from automio.runtime.wire import retry_after
from automio.wrapper import API

UPDATE: dict[str, Any] = {"where": {"order_id": {"_eq": "A"}}, "set": {"delivered": True}}
OK: dict[str, Any] = {"data": {"orders": [], "change": {"affected_rows": 1}}}


@pytest.fixture(autouse=True)
def quick_retries() -> Any:
    """Repetitions without waiting, where a test does not measure the waiting itself."""
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_query_is_repeated_while_the_server_is_busy(
    environment: Any, app: SimpleNamespace, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    environment.answer = [app.Answer(b"busy", status=status), app.Answer(b"busy", status=status), OK]
    with caplog.at_level(logging.DEBUG):
        assert run(app.find, {"where": {"order_id": {"_eq": "s3cret"}}}) == []
    assert len(environment.exchanges) == 3
    ours = [record for record in caplog.records if record.name == "automio"]
    assert [record.levelname for record in ours] == ["WARNING", "WARNING"], "never in secret"
    assert ours[0].getMessage() == f"{app.find.source}: attempt 2 of 3, after: status {status}"
    assert "s3cret" not in caplog.text and "secret-token" not in caplog.text


def test_a_busy_server_gives_up_after_three(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: app.Answer(b"overloaded", status=503)
    with pytest.raises(ProtocolError, match="answered 503: overloaded") as caught:
        run(app.find, {})
    assert caught.value.status == 503 and len(environment.exchanges) == 3


def test_a_mutation_is_not_repeated(environment: Any, app: SimpleNamespace) -> None:
    for answer in (app.Answer(b"", status=503), app.Answer(b"", status=429), app.Answer(drop=True)):
        environment.exchanges.clear()
        environment.answer = lambda exchange, answer=answer: answer
        with pytest.raises(TransportError) as caught:
            run(app.update, UPDATE)
        assert caught.value.sent is True and len(environment.exchanges) == 1


def test_a_mutation_is_repeated_when_the_caller_says_so(environment: Any, app: SimpleNamespace) -> None:
    from dataclasses import replace

    environment.answer = [app.Answer(drop=True), app.Answer(b"", status=503), OK]
    assert run(replace(app.update, repeat=Repeat.ALWAYS), UPDATE) == 1
    assert len(environment.exchanges) == 3
    environment.answer = lambda exchange: app.Answer(drop=True)
    environment.exchanges.clear()
    with pytest.raises(TransportError):
        run(replace(app.find, repeat=Repeat.NEVER), {})
    assert len(environment.exchanges) == 1


@pytest.mark.parametrize("broken", ["drop", "cut"])
def test_a_query_is_repeated_after_a_broken_connection(environment: Any, app: SimpleNamespace, broken: str) -> None:
    bad = app.Answer({"data": {"orders": [1] * 1000}}, **{broken: True})
    environment.answer = [bad, bad, OK]
    assert run(app.find, {}) == []
    environment.answer = lambda exchange: bad
    with pytest.raises(TransportError) as caught:
        run(app.find, {})
    assert caught.value.sent is True
    assert isinstance(caught.value, ProtocolError) == (broken == "cut")
    if isinstance(caught.value, ProtocolError):
        assert caught.value.status == 200 and "broke off" in str(caught.value)


@pytest.mark.parametrize("name", ["find", "update"])
def test_nobody_there(app: SimpleNamespace, free_port: int, name: str, caplog: pytest.LogCaptureFixture) -> None:
    nobody = API(api_base_url=f"http://127.0.0.1:{free_port}", app_token="t", organization_id=2)
    with nobody, pytest.raises(ConnectError, match="was not reached") as caught:
        run(getattr(app, name), {} if name == "find" else UPDATE)
    assert caught.value.sent is False
    assert len([record for record in caplog.records if record.name == "automio"]) == 2, "surely not sent: repeated"


def test_an_unknown_host(app: SimpleNamespace) -> None:
    with API(api_base_url="http://automio.invalid", app_token="t", organization_id=2), pytest.raises(ConnectError):
        run(app.find, {})


def test_a_slow_answer_is_a_timeout(server: Any, app: SimpleNamespace) -> None:
    server.answer = lambda exchange: app.Answer(OK, delay=2)
    with API(api_base_url=server.url, app_token="t", organization_id=2, timeout=0.2):
        start = time.monotonic()
        with pytest.raises(RequestTimeout, match=r"no answer within 0\.2 s") as caught:
            run(app.update, UPDATE)
        assert caught.value.sent is True and time.monotonic() - start < 1
        assert len(server.exchanges) == 1
        with pytest.raises(RequestTimeout):
            run(app.find, {})
    assert 2 <= len(server.exchanges) - 1 <= 3, "a query is tried again, within two timeouts"


def test_retry_after_is_obeyed(environment: Any, app: SimpleNamespace) -> None:
    stamina.set_testing(False)
    environment.answer = [app.Answer(b"", status=429, headers={"Retry-After": "1"}), OK]
    start = time.monotonic()
    assert run(app.find, {}) == []
    assert 1 <= time.monotonic() - start < 5


def test_a_long_retry_after_is_the_answer(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: app.Answer(b"later", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(ProtocolError, match="429"):
        run(app.find, {})
    assert len(environment.exchanges) == 1


def test_reading_retry_after() -> None:
    assert retry_after("7") == 7 and retry_after(" 7 ") == 7
    assert retry_after(None) is retry_after("soon") is retry_after("-1") is retry_after("²") is None
    assert retry_after("9" * 5000) == float("inf")
    in_ten = retry_after(format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True))
    assert in_ten is not None and 8 <= in_ten <= 10
    assert retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


def test_a_moment_counts_by_the_servers_clock(environment: Any, app: SimpleNamespace) -> None:
    """Ours may be wrong: a query was given up, or sent again without a pause."""
    then = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    environment.answer = [app.Answer(b"", status=503, headers={"Date": then, "Retry-After": then}), OK]
    assert run(app.find, {}) == []
    assert retry_after("Wed, 21 Oct 2015 07:28:07 GMT", "Wed, 21 Oct 2015 07:28:00 GMT") == 7
    assert retry_after("Wed, 21 Oct 2015 07:28:07 GMT", "soon") == 0


@pytest.mark.parametrize(
    "value", ["Wed, 21 Oct 2015 07:28:00 +99999999999999999999", f"Wed, 21 Oct {'9' * 30} 07:28:00 GMT"]
)
def test_a_retry_after_that_is_none_is_no_fault_of_the_caller(
    environment: Any, app: SimpleNamespace, value: str
) -> None:
    environment.answer = [app.Answer(b"", status=503, headers={"Retry-After": value}), OK]
    assert run(app.find, {}) == []


def test_redirects_are_not_followed(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: app.Answer(b"", status=302, headers={"Location": f"{environment.url}/other"})
    with pytest.raises(ProtocolError, match="set the final URL") as caught:
        run(app.find, {})
    assert caught.value.status == 302
    assert [exchange.path for exchange in environment.exchanges] == ["/api/apps/graphql/"]


def test_one_connection_is_kept_alive(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: OK
    for _ in range(10):
        run(app.find, {})
    assert len({exchange.connection for exchange in environment.exchanges}) == 1
    assert environment.exchanges[0].headers["accept"] == "application/json"
    assert environment.exchanges[0].headers["user-agent"].startswith("automio/")


def test_cookies_are_not_kept(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: app.Answer(OK, headers={"Set-Cookie": "session=1; Path=/"})
    run(app.find, {})
    run(app.find, {})
    assert "cookie" not in environment.exchanges[1].headers


def test_a_large_body(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: OK
    rows = [{"orderId": "x" * 1000, "total": n} for n in range(5000)]
    assert run(app.upsert, {"objects": rows}) == 1
    assert len(environment.exchanges[0].variables["objects"]) == 5000


async def test_many_at_once(environment: Any, app: SimpleNamespace) -> None:
    environment.answer = lambda exchange: app.Answer(OK, delay=0.02)
    start = time.monotonic()
    await asyncio.gather(*(run_async(app.find, {}) for _ in range(100)))
    assert time.monotonic() - start < 1.5, "side by side, not one after the other"


# Hooks.


async def test_hooks_run_in_order_around_a_scoped_operation(server: Any, app: SimpleNamespace) -> None:
    server.answer = lambda exchange: OK
    seen: list[Any] = []

    async def outer(operation: ScopedOperation, next: Any) -> Reply:
        seen.append(("outer", operation.organization, operation.operation.name, dict(operation.variables)))
        reply = await next(operation.with_header("X-Request-Id", "7"))
        seen.append(reply.status)
        return reply

    async def inner(operation: ScopedOperation, next: Any) -> Reply:
        seen.append(("inner", dict(operation.headers)))
        return await next(operation)

    async with API(api_base_url=server.url, app_token="t", organization_id=2, middleware=[outer, inner]):
        await run_async(app.find, {})
    variables = {app.find.scope_variable: 2, "where": {}}
    assert seen == [("outer", 2, "Find", variables), ("inner", {"X-Request-Id": "7"}), 200]
    assert server.exchanges[0].headers["x-request-id"] == "7"


def test_a_hook_can_answer_by_itself_and_cannot_take_the_credentials(server: Any, app: SimpleNamespace) -> None:
    refused: list[str] = []

    async def hook(operation: ScopedOperation, next: Any) -> Reply:
        for name in ("Authorization", "x-hasura-admin-secret", "Host"):
            with pytest.raises(ValueError, match="belongs to the transport"):
                operation.with_header(name, "x")
            refused.append(name)
        return Reply(200, b'{"data": {"orders": []}}')

    with API(api_base_url=server.url, app_token="t", organization_id=2, middleware=[hook]):
        assert run(app.find, {}) == []
    assert len(refused) == 3 and server.exchanges == []


def test_nobody_else_makes_an_operation(app: SimpleNamespace) -> None:
    with pytest.raises(ScopeError):
        ScopedOperation(None, app.find.bound("130"), {}, None, Repeat.NEVER, {})


# Closing.


async def test_a_closed_client_sends_nothing(server: Any, app: SimpleNamespace) -> None:
    server.answer = lambda exchange: OK
    api = API(api_base_url=server.url, app_token="t", organization_id=2)
    async with api:
        await run_async(app.find, {})
        with api:
            run(app.find, {})
        await run_async(app.find, {})
    with pytest.raises(TransportError, match="closed") as caught:
        await api.tables.execute_async("{ app_130_orders { id } }")
    assert caught.value.sent is False
    with pytest.raises(TransportError, match="closed"):
        api.tables.execute("{ app_130_orders { id } }")
    assert len(server.exchanges) == 3


def test_sessions_end_with_their_loop(environment: Any, app: SimpleNamespace) -> None:
    """Without a close, and without a warning about an open session (warnings are errors here)."""
    import gc

    environment.answer = lambda exchange: OK

    loops: list[weakref.ref[Any]] = []

    async def main() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await asyncio.gather(*(run_async(app.find, {}) for _ in range(5)))

    for _ in range(3):
        asyncio.run(main())
        gc.collect()
    assert len(environment.exchanges) == 15
    assert [loop() for loop in loops[:2]] == [None, None], "nothing holds a loop that is over"


def test_a_dropped_client_closes_its_sessions(server: Any, app: SimpleNamespace) -> None:
    import gc

    server.answer = lambda exchange: OK
    for _ in range(3):
        api = API(api_base_url=server.url, app_token="t", organization_id=2)
        api.tables.execute("{ app_130_orders { id } }")
        del api
        gc.collect()
        time.sleep(0.05)
    assert len(server.exchanges) == 3
