"""The Middleware contract, and the one loop that folds a list of them. Used by client.py.

The order is fixed at its outer end: scoping (scoping.py) turns the Call into a ScopedOperation, then the hooks of
`API(middleware=[…])` run in their order, the first one outermost, and the transport comes last. A hook sees an operation
that already carries its organization; it can wait, measure, add a header (`operation.with_header`), answer by itself or
refuse, but it cannot make or change one, and it sees the answer before it is decoded. Retries happen below the hooks: a
hook runs once for each call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

from automio.runtime.call import Call
from automio.runtime.scoping import ScopedOperation, scope
from automio.runtime.transport import Reply

Next = Callable[[ScopedOperation], Awaitable[Reply]]
"""The rest of the chain."""


class Middleware(Protocol):
    """A hook around every operation. `async def hook(operation, next): …; return await next(operation)` is one."""

    async def __call__(self, operation: ScopedOperation, next: Next, /) -> Reply: ...


def fold(middleware: Iterable[Middleware], send: Next) -> Callable[[Call], Awaitable[Reply]]:
    """Scoping, then `middleware`, then `send`, as one function."""
    after_scoping = send
    for hook in reversed(tuple(middleware)):
        after_scoping = _bind(hook, after_scoping)

    def run(call: Call) -> Awaitable[Reply]:
        return after_scoping(scope(call))

    return run


def _bind(hook: Middleware, following: Next) -> Next:
    return lambda operation: hook(operation, following)
