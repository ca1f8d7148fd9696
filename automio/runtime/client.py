"""The ambient client and organization, and the sync face. Generated functions call `run` and `run_async`.

**Client.** A client is settings, hooks and one pooled session for each event loop that calls it. `with API(…)` makes its
client the ambient one of the context (tasks inherit it); without one, a client is built from the environment at the
first call and kept.

**Organization.** For each call the first that is given: the call's `organization_id=`, `with organization(2)`, the
client's own (`API(organization_id=…)` or ORGANIZATION_ID). None at all: ScopeError, nothing is sent.

**Threads.** A thread has an empty context, so `with organization(3): pool.map(f, …)` runs `f` where no override is seen.
Falling back to the default there would read and write another organization's rows. So while an override is active
anywhere in the process, a context is trusted to say "no override" only if it descends from the main thread's (it carries
the mark that is set below, once, when this module is imported there); in any other the default is refused. The same
holds for the environment's client while a `with API(organization_id=…)` is active somewhere. To run in a thread: give
`organization_id=`, or enter `organization(…)` in the thread, or start it with `contextvars.copy_context().run`.
Considered and dropped: a mark at the first call of a thread (a pool's thread would keep it), patching `threading`.

**Sync face.** One background thread with one event loop for the process, started at the first sync call: it works in any
thread and inside a running loop (notebooks), where it blocks only its caller. After a fork the child starts its own.
"""

from __future__ import annotations

import atexit
import contextvars
import os
import sys
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from automio.errors import ConfigError, ScopeError
from automio.request import UNSET, Unset
from automio.runtime.call import BoundOperation, Call, Facts, Operation, Reach, registered_facts
from automio.runtime.per_loop import PerLoop
from automio.scope.values import check_organization

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from automio.runtime.chain import Middleware, Next
    from automio.runtime.http import HttpTransport
    from automio.runtime.scoping import ScopedOperation
    from automio.runtime.socket import Feed
    from automio.runtime.transport import Reply
    from automio.settings import Settings

T = TypeVar("T")


class _All:
    """The override of all_organizations()."""


class _Entered(NamedTuple):
    """What a `with` block set in a context, and what it found there: the context itself is the stack, so one block
    object may be entered by several threads and tasks at a time."""

    value: Any
    owner: object
    before: _Entered | None
    losses: int = 0
    """How often the owner had been left elsewhere when this was entered."""


_ALL: Final = _All()
_override: contextvars.ContextVar[_Entered | None] = contextvars.ContextVar("automio_organization", default=None)
_ambient: contextvars.ContextVar[_Entered | None] = contextvars.ContextVar("automio_client", default=None)
_main_context: contextvars.ContextVar[bool] = contextvars.ContextVar("automio_main_context", default=False)
if threading.current_thread() is threading.main_thread():
    _main_context.set(True)
_INHERITS: Final = bool(getattr(sys.flags, "thread_inherit_context", False))
"""True where threads start with a copy of their starter's context (free-threaded Python 3.14): a pool's thread then
carries the mark of the moment when it was started, so only the main thread itself is trusted."""


class _Active:
    """How many `with` blocks of one kind are open in the whole process."""

    def __init__(self) -> None:
        self.count = 0
        self.lock = threading.Lock()

    def enter(self) -> None:
        with self.lock:
            self.count += 1

    def leave(self) -> None:
        with self.lock:
            self.count -= 1


_overrides = _Active()
_clients_with_organization = _Active()


def _enter(place: contextvars.ContextVar[_Entered | None], value: Any, owner: object, losses: int = 0) -> None:
    place.set(_Entered(value, owner, place.get(), losses))


class _LeftInside(RuntimeError):
    """A block is left before one that was entered inside of it; both are out of the way when their own ends have come."""


def _leave(place: contextvars.ContextVar[_Entered | None], owner: object) -> None:
    entered = place.get()
    inside: list[_Entered] = []
    while entered is not None and entered.owner is not owner:
        inside.append(entered)
        entered = entered.before
    if entered is None:
        raise RuntimeError("a `with` block of automio is left in another context than it was entered in")
    rest = entered.before
    for one in reversed(inside):
        rest = one._replace(before=rest)
    place.set(rest)
    if inside:
        raise _LeftInside(
            "a `with` block of automio is left before one that was entered inside of it: does a generator yield there?"
        )


class _Block:
    """A `with` or `async with` block that sets the override of its context. May be entered again, nested or elsewhere."""

    def __init__(self, value: int | _All) -> None:
        self._value: int | _All = value
        self._losses = 0

    def __enter__(self) -> None:
        _overrides.enter()
        _enter(_override, self._value, self, self._losses)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            _leave(_override, self)
        except _LeftInside:
            raise
        except RuntimeError:
            self._losses += 1
            raise
        finally:
            _overrides.leave()

    async def __aenter__(self) -> None:
        self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def _overriding() -> _Entered | None:
    """The innermost block of this context. One that was left elsewhere (an async generator that the loop closes) is still
    in its context, where it must not go on to choose the organization: ScopeError."""
    found = _override.get()
    if found is not None and isinstance(found.owner, _Block) and found.owner._losses != found.losses:
        raise ScopeError(
            "the `with organization(…)` that was entered here has been left in another context.",
            hint="Close a generator (`aclosing`, `close()`) where it is used, or keep `yield` out of the block.",
        )
    return found


class organization(_Block):
    """`with organization(2): …`: calls inside run in that organization; `async with` works too. Innermost wins.

    Raises ScopeError at once for a value that is no organization (an int of 32 bits; not a bool, not text).
    """

    def __init__(self, organization_id: int) -> None:
        super().__init__(check_organization(organization_id))


class all_organizations(_Block):
    """`with all_organizations(): …`: ad-hoc documents inside are sent as written, over the rows of every organization.

    For maintenance by the owner of the server; each use is a warning of the logger "automio". Typed functions still need
    an organization (`organization_id=`): their documents carry one.
    """

    def __init__(self) -> None:
        super().__init__(_ALL)

    def __enter__(self) -> None:
        import logging

        logger = logging.getLogger("automio")
        if not logger.handlers:  # silent by default: no line on stderr where logging is not set up
            logger.addHandler(logging.NullHandler())
        logger.warning("all_organizations() entered: ad-hoc documents are sent without an organization")
        super().__enter__()


class Client:
    """Settings, hooks and sessions: what `API()` holds. Safe from any thread and any event loop."""

    def __init__(self, settings: Settings, middleware: Iterable[Middleware] = ()) -> None:
        from automio.runtime.chain import fold

        self.settings = settings
        self._middleware = tuple(middleware)
        self._chain = fold(self._middleware, self._send)
        self._apps: dict[str, str] = {}
        self._apps_known = -1
        self._sessions = PerLoop(partial(_transport, settings))  # not a method: it would keep the client alive
        weakref.finalize(self, self._sessions.abandon).atexit = False

    def __repr__(self) -> str:
        return f"Client({self.settings!r})"

    def run_async(
        self, operation: Operation[T], variables: dict[str, Any], organization_id: int | None | Unset
    ) -> Coroutine[Any, Any, T]:
        """A coroutine of the operation's result. The organization is that of this moment and thread, not of the await."""
        return self._run(operation, self.call(operation, variables, organization_id))

    def call(self, operation: Operation[Any], variables: dict[str, Any], organization_id: int | None | Unset) -> Call:
        """The call that a typed function makes here and now. Raises ScopeError."""
        bound = operation.bound(self.app_of(operation.facts))
        organization = self._organization_of(bound, organization_id)
        return Call(bound, variables, organization, repeat=operation.repeat)

    async def _run(self, operation: Operation[T], call: Call) -> T:
        return operation.decoder(await self._chain(call), call.organization, call.operation)

    def typed_organization(self, operation: Operation[Any], organization_id: int | Unset) -> int | None:
        """The organization in which a typed call would run now; None only where the schema has no organizations."""
        return self._organization_of(operation.bound(self.app_of(operation.facts)), organization_id)

    def _organization_of(self, bound: BoundOperation, given: int | None | Unset) -> int | None:
        if not bound.needs_organization:
            return None
        chosen = self.organization(given)
        if isinstance(chosen, _All):
            raise ScopeError(
                f"{bound.source}: a typed function runs in one organization, also inside all_organizations().",
                hint="Pass organization_id=…",
            )
        return chosen

    def perform(self, call: Call) -> Awaitable[Reply]:
        """The answer to a call that is complete: an ad-hoc document of services/tables.py."""
        return self._chain(call)

    def chain_to(self, send: Next) -> Callable[[Call], Awaitable[Reply]]:
        """Scoping and the hooks around another end than one request: a subscription's start."""
        from automio.runtime.chain import fold

        return fold(self._middleware, send)

    def open_feed(self, operation: ScopedOperation) -> Awaitable[Feed]:
        """Past the hooks: the answers to a subscription, from now on."""
        return self._sessions.current().subscribe(operation)

    def introspect(self, operation: ScopedOperation) -> Awaitable[Reply]:
        """Past the hooks: for introspection."""
        return self._send(operation)

    def organization(self, given: int | None | Unset) -> int | _All:
        """The organization of a call, by the order on top. Raises ScopeError when there is none, or it can't be trusted."""
        if given is not UNSET:
            return check_organization(given)
        override = _overriding()
        if override is not None:
            return override.value
        self._check_context()
        return check_organization(self.settings.organization_id)

    def organization_or_none(self) -> int | None:
        """The organization of now, None where nobody named one: for the companions, whose token stands for one.

        Raises ScopeError inside all_organizations(), and in a thread that may have lost an override."""
        if _overriding() is None and self.settings.organization_id is None:
            self._check_context()
            return None
        chosen = self.organization(UNSET)
        if isinstance(chosen, _All):
            raise ScopeError("a companion works for one organization, also inside all_organizations().")
        return chosen

    def reach(self, given: int | Unset) -> tuple[Reach, int | None]:
        """How far an ad-hoc document of the caller sees, and in which organization."""
        override = _overriding()
        if given is UNSET and override is None and self.settings.organization_id is None:
            self._check_context()
            if self.settings.hasura_graphql_endpoint is None:
                return Reach.SERVER, None
        chosen = self.organization(given)
        return (Reach.ALL, None) if isinstance(chosen, _All) else (Reach.ORGANIZATION, chosen)

    def _check_context(self) -> None:
        """Refuse the default organization where an override may have been lost (top of this file)."""
        if not (_overrides.count or (_clients_with_organization.count and self is _environment.client)):
            return
        if not _main_context.get() or (_INHERITS and threading.current_thread() is not threading.main_thread()):
            raise ScopeError(
                "this thread does not see the organization that is set elsewhere in the process, and the default may be "
                "another one.",
                hint="Pass organization_id=…, enter organization(…) in the thread, or start it with "
                "contextvars.copy_context().run.",
            )

    def app_of(self, facts: Facts) -> str:
        """The app id under which a package's operations run: API(app_id=…) or APP_ID, else the one it was generated from.

        With one package imported, app_id names its installation. With several, app_id can only name one of them, and
        each runs under its own id. Raises ConfigError when it names none of several.
        """
        registered = registered_facts()
        if len(registered) != self._apps_known:
            self._apps = {}
            self._apps_known = len(registered)
        found = self._apps.get(facts.app)
        if found is None:
            found = self._apps[facts.app] = self._choose_app(facts.app, [app for app in registered if app])
        return found

    def _choose_app(self, app: str, known: list[str]) -> str:
        wanted = self.settings.app_id
        if not app or wanted is None or str(wanted) in known:
            return app
        if len(known) > 1:
            raise ConfigError(
                f"app_id {wanted} could stand for any of the imported packages (apps {', '.join(sorted(known))}).",
                hint="Use an API() without app_id, or import one package in this process.",
            )
        return str(wanted)

    def _send(self, operation: ScopedOperation) -> Awaitable[Reply]:
        if operation.operation.check is not None:
            from automio.runtime.asking import ask_first

            return ask_first(self._sessions.current(), operation)
        return self._sessions.current().send(operation)

    async def aclose(self) -> None:
        """Close the sessions of every loop that is still alive. Later calls raise TransportError."""
        await self._sessions.aclose()

    def close(self) -> None:
        """The same from sync code. Inside a running loop, that loop's own session closes as soon as the loop goes on."""
        self._sessions.close(run_sync)


def _transport(settings: Settings) -> HttpTransport:
    from automio.runtime.http import HttpTransport

    return HttpTransport(settings)


# The ambient client.


class _Environment:
    """The client that the environment describes, made once."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.lock = threading.Lock()

    def get(self) -> Client:
        if self.client is None:
            from automio.settings import Settings

            with self.lock:
                if self.client is None:
                    self.client = Client(Settings.read())
        return self.client


_environment = _Environment()


def current_client() -> Client:
    """The client of the innermost `with API(…)` of this context, else the environment's."""
    entered = _ambient.get()
    return entered.value if entered is not None else _environment.get()


def ambient_client() -> Client | None:
    """The client of the innermost `with API(…)` of this context, if there is one."""
    entered = _ambient.get()
    return entered.value if entered is not None else None


class Ambient:
    """Makes a client the ambient one between enter() and exit(). Used by API; several threads may be inside at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inside = _Active()
        self._counts = "organization_id" in client.settings.given

    def enter(self) -> None:
        self._inside.enter()
        if self._counts:
            _clients_with_organization.enter()
        _enter(_ambient, self._client, self)

    def exit(self) -> bool:
        """True when nobody is inside any more."""
        try:
            _leave(_ambient, self)
        finally:
            if self._counts:
                _clients_with_organization.leave()
            self._inside.leave()
        return self._inside.count == 0


def run_async(
    operation: Operation[T], variables: dict[str, Any], organization_id: int | Unset = UNSET
) -> Coroutine[Any, Any, T]:
    """Run a compiled operation with the ambient client, in the caller's event loop.

    Raises ScopeError (nothing was sent), TransportError, GraphQLErrors, DecodeError.
    """
    return current_client().run_async(operation, variables, organization_id)


def run(operation: Operation[T], variables: dict[str, Any], organization_id: int | Unset = UNSET) -> T:
    """Run a compiled operation with the ambient client and wait for its result. Works in any thread and in notebooks."""
    return run_sync(current_client().run_async(operation, variables, organization_id))


# The background loop.


class _Background:
    """One daemon thread that runs one event loop for all sync calls of the process."""

    def __init__(self) -> None:
        self.loop: AbstractEventLoop | None = None
        self.thread: threading.Thread | None = None
        self.lock = threading.Lock()

    def start(self) -> AbstractEventLoop:
        import asyncio

        import automio.runtime.http  # noqa: F401 - slow to load: here, in the caller's thread, it holds up nobody else

        with self.lock:
            if self.loop is None:
                loop = asyncio.new_event_loop()
                ready = threading.Event()
                self.thread = threading.Thread(target=self._main, args=(loop, ready), name="automio", daemon=True)
                self.thread.start()
                ready.wait()
                self.loop = loop
                atexit.register(self.stop)
            return self.loop

    @staticmethod
    def _main(loop: AbstractEventLoop, ready: threading.Event) -> None:
        import asyncio

        asyncio.set_event_loop(loop)
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            if tasks:
                loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    def stop(self) -> None:
        """At exit: sessions are closed with their loop; a request that hangs is not waited for."""
        with self.lock:
            loop, thread, self.loop, self.thread = self.loop, self.thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(2)


_background = _Background()


def run_sync(coroutine: Coroutine[Any, Any, T]) -> T:
    """Wait for `coroutine`, which runs on the background loop in a copy of the caller's context."""
    loop = _background.loop or _background.start()
    if threading.current_thread() is _background.thread:
        coroutine.close()
        raise ConfigError(
            "a sync function was called inside of a hook or coroutine that runs for another sync call; it would wait "
            "for itself.",
            hint="Await the function of the same name in the package's `aio`.",
        )
    return _Waiter(coroutine, loop).wait()


class _Waiter:
    """One sync call: starts the task in the loop's thread and wakes the caller. Lighter than a concurrent Future."""

    __slots__ = ("_context", "_coroutine", "_done", "_loop", "_task")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: AbstractEventLoop) -> None:
        self._coroutine = coroutine
        self._loop = loop
        self._context = contextvars.copy_context()
        self._done = threading.Lock()
        self._task: Any = None

    def wait(self) -> Any:
        self._done.acquire()
        self._loop.call_soon_threadsafe(self._start)
        try:
            self._done.acquire()
        except BaseException:  # Ctrl-C in the waiting thread
            self._loop.call_soon_threadsafe(self._cancel)
            raise
        return self._task.result()

    def _start(self) -> None:
        self._task = self._loop.create_task(self._coroutine, context=self._context)
        self._task.add_done_callback(self._wake)

    def _wake(self, task: Any) -> None:
        self._done.release()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


# Forks.

_parents: list[Any] = []


def _after_fork() -> None:
    """In the child no other thread lives: a new loop when needed, and the parent's is kept, since closing it or its
    sessions would act on the parent's connections. Open blocks stay counted: too many refuse, too few would not."""
    global _background
    atexit.unregister(_background.stop)
    _parents.append((_background, _environment.client))
    _background = _Background()
    _environment.lock = threading.Lock()
    for active in (_overrides, _clients_with_organization):
        active.lock = threading.Lock()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)
