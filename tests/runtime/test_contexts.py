"""Threads, tasks, notebooks and forks: where a call finds its client and organization, and where it refuses to guess."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

import automio
from automio.errors import ConfigError, ScopeError, TransportError
from automio.runtime import client as client_module
from automio.runtime.client import run, run_async, run_sync
from automio.wrapper import API


@pytest.fixture
def sent(environment: Any, app: SimpleNamespace) -> Callable[[], list[int]]:
    environment.answer = lambda exchange: {"data": {"orders": []}}
    app.server = environment
    return lambda: [exchange.variables[app.find.scope_variable] for exchange in environment.exchanges]


def in_thread(function: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_a_thread_without_override_uses_the_environment(app: SimpleNamespace, sent: Any) -> None:
    in_thread(lambda: run(app.find, {}))
    assert sent() == [2]


def test_a_pool_inside_an_override_is_refused_not_run_as_the_default(app: SimpleNamespace, sent: Any) -> None:
    with ThreadPoolExecutor(2) as pool:
        pool.submit(lambda: run(app.find, {})).result()
        with automio.organization(3):
            for future in [pool.submit(lambda: run(app.find, {})) for _ in range(4)]:
                with pytest.raises(ScopeError, match="this thread does not see the organization"):
                    future.result()
            assert sent() == [2]
            run(app.find, {})
            pool.submit(lambda: run(app.find, {}, 4)).result()
            pool.submit(contextvars.copy_context().run, run, app.find, {}).result()
            pool.submit(enter_and_run, app, 5).result()
        pool.submit(lambda: run(app.find, {})).result()
    assert sent() == [2, 3, 4, 3, 5, 2]


def enter_and_run(app: SimpleNamespace, organization_id: int) -> None:
    with automio.organization(organization_id):
        run(app.find, {})


def test_all_organizations_does_not_reach_into_a_pool(environment: Any, app: SimpleNamespace) -> None:
    with API() as api, automio.all_organizations(), pytest.raises(ScopeError, match="this thread"):
        in_thread(lambda: api.tables.execute("{ app_130_orders { id } }"))
    with API(organization_id=None) as api, automio.organization(3), pytest.raises(ScopeError, match="this thread"):
        in_thread(lambda: api.tables.execute("{ app_130_orders { id } }"))
    assert environment.exchanges == []


def test_another_threads_override_refuses_only_contexts_that_may_have_lost_one(app: SimpleNamespace, sent: Any) -> None:
    entered, leave = threading.Event(), threading.Event()

    def elsewhere() -> None:
        with automio.organization(9):
            entered.set()
            leave.wait(5)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    entered.wait(5)
    try:
        run(app.find, {})
        assert sent() == [2], "the main thread's own context is known to have no override"
        with pytest.raises(ScopeError):
            in_thread(lambda: run(app.find, {}))
    finally:
        leave.set()
        thread.join()
    in_thread(lambda: run(app.find, {}))
    assert sent() == [2, 2]


def test_a_thread_inside_with_api_falls_back_to_the_environment_only_if_that_is_no_other_organization(
    app: SimpleNamespace, sent: Any, environment: Any
) -> None:
    with API(app_token="other"):
        in_thread(lambda: run(app.find, {}))
    assert environment.exchanges[0].headers["authorization"] == "App-Token secret-token"
    with API(organization_id=7) as api:
        with pytest.raises(ScopeError, match="this thread"):
            in_thread(lambda: run(app.find, {}))
        in_thread(lambda: api.tables.execute("{ app_130_orders { id } }"))
        run(app.find, {})
    assert [list(e.variables.values())[-1] for e in environment.exchanges] == [2, 7, 7]


async def test_tasks_inherit_and_siblings_do_not(app: SimpleNamespace, sent: Any) -> None:
    started, go_on = asyncio.Event(), asyncio.Event()

    async def one() -> None:
        with automio.organization(3):
            started.set()
            await go_on.wait()
            await asyncio.create_task(call())
            await asyncio.to_thread(run, app.find, {})

    async def call() -> None:
        await run_async(app.find, {})

    task = asyncio.create_task(one())
    await started.wait()
    await call()
    go_on.set()
    await task
    assert sent() == [2, 3, 3]


async def test_an_executor_loses_the_context_and_is_refused(app: SimpleNamespace, sent: Any) -> None:
    with automio.organization(3), pytest.raises(ScopeError):
        await asyncio.get_running_loop().run_in_executor(None, run, app.find, {})
    with automio.organization(3), pytest.raises(ScopeError):
        await asyncio.get_running_loop().run_in_executor(None, lambda: asyncio.run(run_async(app.find, {})))
    assert sent() == []


async def test_a_coroutine_posted_by_a_thread_that_lost_the_context_is_refused(app: SimpleNamespace, sent: Any) -> None:
    loop = asyncio.get_running_loop()

    async def call() -> None:
        await run_async(app.find, {})

    def post() -> Any:
        return asyncio.run_coroutine_threadsafe(call(), loop)

    with automio.organization(3):
        future = await loop.run_in_executor(None, post)
        with pytest.raises(ScopeError):
            await asyncio.wrap_future(future)
    assert sent() == []


def test_blocks_count_also_when_they_fail(app: SimpleNamespace, sent: Any) -> None:
    block = automio.organization(3)
    with pytest.raises(ZeroDivisionError), block, block:
        raise ZeroDivisionError
    run(app.find, {})
    in_thread(lambda: run(app.find, {}))
    assert sent() == [2, 2]


async def test_a_coroutine_keeps_the_organization_of_the_place_where_it_was_made(
    app: SimpleNamespace, sent: Any
) -> None:
    with automio.organization(3):
        call, document = run_async(app.find, {}), API().tables.execute_async("{ app_130_orders { id } }")
    with automio.organization(4):
        await call
        await document
    assert [list(e.variables.values())[-1] for e in app.server.exchanges] == [3, 3]


def test_one_block_object_serves_many_threads(app: SimpleNamespace, sent: Any) -> None:
    block, barrier = automio.organization(3), threading.Barrier(4)

    def work(number: int) -> None:
        with block:
            barrier.wait(5)
            run(app.find, {})
            time.sleep(0.01 * number)
        with automio.organization(10 + number):
            run(app.find, {})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert sorted(sent()) == [3, 3, 3, 3, 10, 11, 12, 13]


def test_one_api_entered_by_many_threads_closes_with_the_last(app: SimpleNamespace, sent: Any) -> None:
    api, barrier = API(organization_id=5), threading.Barrier(3)

    def work(number: int) -> None:
        with api:
            barrier.wait(5)
            time.sleep(0.05 * number)
            run(app.find, {})

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert sent() == [5, 5, 5]
    with pytest.raises(TransportError, match="closed"):
        api.tables.execute("{ app_130_orders { id } }")


def test_a_block_left_elsewhere_says_so() -> None:
    block = automio.organization(3)
    contextvars.copy_context().run(block.__enter__)
    with pytest.raises(RuntimeError, match="another context"):
        block.__exit__(None, None, None)


def test_nested_blocks_and_pool_map(app: SimpleNamespace, sent: Any) -> None:
    with automio.organization(3):
        with automio.organization(4):
            run(app.find, {})
            run(app.find, {}, 5)
        run(app.find, {})
        with ThreadPoolExecutor(2) as pool, pytest.raises(ScopeError, match="this thread"):
            list(pool.map(lambda _: run(app.find, {}), range(4)))
    run(app.find, {})
    assert sent() == [4, 5, 3, 2]


async def test_callbacks_run_in_the_context_of_the_place_that_asked_for_them(app: SimpleNamespace, sent: Any) -> None:
    loop = asyncio.get_running_loop()
    done: list[asyncio.Future[None]] = []

    def call() -> None:
        run(app.find, {})
        future.set_result(None)

    for number in (3, 4):
        future = loop.create_future()
        done.append(future)
        with automio.organization(number):
            loop.call_soon(call)
        await future
    future = loop.create_future()
    with automio.organization(5):
        finished = loop.create_future()
        finished.add_done_callback(lambda _: call())
    finished.set_result(None)
    await future
    assert sent() == [3, 4, 5]


def test_a_generators_block_reaches_to_its_user_and_ends_with_it(app: SimpleNamespace, sent: Any) -> None:
    """As Python has it, a generator runs in its user's context: docs/tenancy.md says so."""

    def rows() -> Any:
        with automio.organization(3):
            yield run(app.find, {})

    with contextlib.closing(rows()) as generator:
        next(generator)
        run(app.find, {})
    run(app.find, {})
    in_thread(lambda: run(app.find, {}))
    assert sent() == [3, 3, 2, 2]


def test_blocks_that_cross_say_so_and_leave_nothing_behind(app: SimpleNamespace, sent: Any) -> None:
    def rows() -> Any:
        with automio.organization(3):
            yield

    generator = rows()
    with pytest.raises(RuntimeError, match="does a generator yield there"), automio.organization(4):
        next(generator)
    generator.close()
    run(app.find, {})
    in_thread(lambda: run(app.find, {}))
    assert sent() == [2, 2]


async def test_a_block_of_an_async_generator_closed_elsewhere_chooses_no_organization_any_more(
    app: SimpleNamespace, sent: Any
) -> None:
    async def rows() -> Any:
        with automio.organization(3):
            yield await run_async(app.find, {})

    async def use() -> None:
        generator = rows()
        await anext(generator)
        with pytest.raises(RuntimeError, match="another context"):
            await asyncio.create_task(generator.aclose(), context=contextvars.Context())
        with pytest.raises(ScopeError, match="left in another context"):
            await run_async(app.find, {})
        with pytest.raises(ScopeError, match="left in another context"):
            API().tables.execute("{ app_130_orders { id } }")
        with automio.organization(4):
            await run_async(app.find, {})
        await run_async(app.find, {}, 5)

    await asyncio.create_task(use())
    await run_async(app.find, {})
    assert sent() == [3, 4, 5, 2]


def test_an_ad_hoc_document_is_kept_once_and_serves_each_organization(environment: Any, app: SimpleNamespace) -> None:
    with API() as api:
        for number in (3, 4, 3):
            with automio.organization(number):
                api.tables.execute("{ app_130_orders { id } }")
        api.tables.execute("{ app_130_orders { id } }")
        assert len(api.tables._documents) == 1
        with automio.all_organizations():
            api.tables.execute("{ app_130_orders { id } }")
        assert len(api.tables._documents) == 2, "what is sent as written is kept apart"
    assert [list(e.variables.values()) for e in environment.exchanges] == [[3], [4], [3], [2], []]


# The sync face.


async def test_sync_calls_work_inside_a_running_loop(app: SimpleNamespace, sent: Any) -> None:
    with automio.organization(6):
        assert run(app.find, {}) == []
        assert await run_async(app.find, {}) == []
    with API(organization_id=8):
        run(app.find, {})
        await run_async(app.find, {})
    assert sent() == [6, 6, 8, 8]


async def test_closing_from_sync_code_inside_the_loop_that_used_it(app: SimpleNamespace, sent: Any) -> None:
    start = time.monotonic()
    with API():
        await run_async(app.find, {})
    await asyncio.sleep(0)
    assert time.monotonic() - start < 1


def test_threads_share_one_client(app: SimpleNamespace, sent: Any, environment: Any) -> None:
    environment.answer = lambda exchange: app.Answer({"data": {"orders": []}}, delay=0.05)
    start = time.monotonic()
    with API(organization_id=1) as api, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: api.tables.execute("{ app_130_orders { id } }", organization_id=n), range(32)))
    assert sorted(list(e.variables.values())[-1] for e in environment.exchanges) == list(range(32))
    assert time.monotonic() - start < 1.5


def test_one_background_thread_serves_every_sync_call(app: SimpleNamespace, sent: Any) -> None:
    run(app.find, {})
    in_thread(lambda: run(app.find, {}))
    with API() as api:
        api.tables.execute("{ app_130_orders { id } }")
    assert [thread.name for thread in threading.enumerate()].count("automio") == 1


def test_a_sync_call_inside_a_hook_is_refused_not_deadlocked(environment: Any, app: SimpleNamespace, sent: Any) -> None:
    async def hook(operation: Any, next: Any) -> Any:
        run(app.find, {})
        return await next(operation)

    with API(middleware=[hook]), pytest.raises(ConfigError, match="wait for itself"):
        run(app.find, {})
    assert sent() == []


def test_a_hook_sees_the_context_of_the_sync_caller(environment: Any, app: SimpleNamespace, sent: Any) -> None:
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")

    async def hook(operation: Any, next: Any) -> Any:
        return await next(operation.with_header("X-Request", request.get()))

    with API(middleware=[hook]):
        request.set("7")
        run(app.find, {})
    assert environment.exchanges[0].headers["x-request"] == "7"


def test_an_interrupted_wait_cancels_the_call(environment: Any, app: SimpleNamespace) -> None:
    cancelled = threading.Event()

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        run_sync(forever())
    assert cancelled.wait(5)


def test_a_forked_child_starts_its_own_loop(environment: Any, app: SimpleNamespace, sent: Any) -> None:
    run(app.find, {})
    connections = {exchange.connection for exchange in environment.exchanges}
    reader, writer = os.pipe()
    with automio.organization(5):
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)
                run(app.find, {})
                run(app.find, {}, 6)
                try:
                    in_thread(lambda: run(app.find, {}))
                    os.write(writer, b"leaked")
                except ScopeError:
                    os.write(writer, b"fine")
            except BaseException as error:
                os.write(writer, repr(error).encode())
            finally:
                os._exit(0)
        os.close(writer)
        said = os.read(reader, 1000)
        os.waitpid(pid, 0)
        os.close(reader)
    assert said == b"fine"
    run(app.find, {})
    assert sent() == [2, 5, 6, 2]
    own = {environment.exchanges[0].connection, environment.exchanges[3].connection}
    assert own == connections, "the parent goes on with its own connection"
    assert environment.exchanges[1].connection not in connections


def test_the_environments_client_is_made_once(app: SimpleNamespace, sent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(8) as pool:
        clients = set(pool.map(lambda _: id(client_module.current_client()), range(32)))
    assert len(clients) == 1
