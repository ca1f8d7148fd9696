"""Every exception of automio. A message answers where, what, and what to do now.

AutomioError
  ConfigError       0xx  settings, codegen.toml or platform.toml cannot be used; nothing was done
  CodegenError      1xx  bad SDL or .graphql; .diagnostics, each starting file:line:column
  ScopeError        2xx  no organization, or an operation that can't carry one; nothing was sent
  TransportError    3xx  no usable answer; .sent says if the server may have acted
    ConnectError         the server was not reached
    RequestTimeout       the answer did not come in time
    ProtocolError        an answer came that is not GraphQL (.status, a short excerpt in the text)
  ResponseError     4xx  the server answered
    GraphQLErrors        the answer carries errors (.errors, .data: partial data is kept)
    DecodeError          the answer does not fit the generated model (.path); regenerate
  EngineError       5xx  the database refused; SQLSTATE kept in .sqlstate
  LocalError        6xx  the local platform could not start or stop what it runs
  ServiceError      7xx  a companion (integrations, plugins, cache, tasks, notifications) was refused or answered nonsense
    IntegrationError     the platform refused a call to an integration (.status, .detail)
      IntegrationAccessDenied   403: no right to the integration or the connection
      PaymentRequired           402: the organization's plan does not cover the call
      StreamBroken              a stream of answers ended before its last item (.received)
    PluginError          no such plugin or capability, or its signature is not the interface's
    CacheError           a key, value or answer of the cache that cannot be used
      CacheUnavailable          the cache was not reached, or refused the credentials
    TaskError            the progress of a task was refused
    NotificationError    a notification was refused

Codes are stable and searchable. `str(error)` is the message, the hint and the code; secrets never stand in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class AutomioError(Exception):
    """Base of everything automio raises. `code` is stable; `hint` says what to do now ("" when there is nothing to say)."""

    code: ClassVar[str] = "AUTOMIO-000"
    hint: str = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint

    def __str__(self) -> str:
        end = "" if self.message.endswith((".", "?", "!", ":")) else "."
        tail = f"{end} {self.hint}" if self.hint else ""
        return f"{self.message}{tail} [{self.code}]"


class ConfigError(AutomioError):
    """Settings or a configuration file cannot be used. Nothing was done."""

    code = "AUTOMIO-001"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding in a file: `path:line:column: message`, with the source line under it when it is known."""

    path: str
    line: int
    column: int
    message: str
    code: str = "AUTOMIO-100"
    hint: str = ""
    source_line: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.message} [{self.code}]"

    def render(self) -> str:
        """The diagnostic, a source frame and the hint, as printed by the commands. Several lines, no trailing newline."""
        lines = [str(self)]
        if self.source_line:
            number = str(self.line)
            lines += [
                f"  {number} | {self.source_line}",
                f"  {' ' * len(number)} | {' ' * (self.column - 1)}^",
            ]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class CodegenError(AutomioError):
    """The schema, the operations or codegen.toml have faults. `.diagnostics` holds all of them; nothing was written."""

    code = "AUTOMIO-100"

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda d: (d.path, d.line, d.column, d.message)))
        super().__init__("\n".join(d.render() for d in self.diagnostics))

    def __str__(self) -> str:
        return self.message


class ScopeError(AutomioError):
    """The call has no organization, or the operation cannot carry one. Nothing was sent; repeating it won't help.

    `path` is the place in the caller's own document (`app_130_orders.where.order`), "" when it concerns the call itself.
    """

    code = "AUTOMIO-201"

    def __init__(self, message: str, *, path: str = "", hint: str | None = None, code: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.path = path
        if code is not None:
            self.code = code  # pyright: ignore[reportAttributeAccessIssue]

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{super().__str__()}"


class TransportError(AutomioError):
    """No usable answer came. `.sent` is False only when the server surely did not see the request."""

    code = "AUTOMIO-300"

    def __init__(self, message: str, *, sent: bool, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class ConnectError(TransportError):
    """The server was not reached. Nothing was sent; repeating is safe."""

    code = "AUTOMIO-301"
    hint = "Is the server running, and is API_BASE_URL or HASURA_GRAPHQL_ENDPOINT right?"


class RequestTimeout(TransportError):
    """The answer did not come within the timeout (seconds, from Settings). The server may have acted."""

    code = "AUTOMIO-302"


class ProtocolError(TransportError):
    """The answer is not a GraphQL answer: another status, HTML, cut JSON. `.status` is the HTTP status."""

    code = "AUTOMIO-303"

    def __init__(self, message: str, *, status: int, hint: str | None = None) -> None:
        super().__init__(message, sent=True, hint=hint)
        self.status = status


class ResponseError(AutomioError):
    """The server answered, and the answer cannot be returned as a value."""

    code = "AUTOMIO-400"


class GraphQLErrors(ResponseError):
    """The answer carries errors. `.errors` are the server's (message, extensions.code, extensions.path); `.data` may be partial."""

    code = "AUTOMIO-401"

    def __init__(self, errors: Sequence[Mapping[str, Any]], data: Any = None, *, source: str = "") -> None:
        first = errors[0] if errors else {}
        extensions = first.get("extensions") or {}
        place = extensions.get("path", "")
        text = f"{first.get('message', 'unknown error')}"
        if extensions.get("code"):
            text += f" ({extensions['code']} at {place})" if place else f" ({extensions['code']})"
        if len(errors) > 1:
            text += f", and {len(errors) - 1} more"
        super().__init__(f"{source}: {text}" if source else text)
        self.errors = tuple(errors)
        self.data = data
        self.source = source


class DecodeError(ResponseError):
    """The answer does not fit the generated model. `.path` is the first place that doesn't; the value itself is not shown."""

    code = "AUTOMIO-402"
    hint = "The schema has changed: run `automio pull` and `automio generate`."

    def __init__(self, message: str, *, path: str = "", source: str = "") -> None:
        super().__init__(f"{source}: {message}" if source else message)
        self.path = path
        self.source = source


class EngineError(AutomioError):
    """The local engine or its database refused. `.sqlstate` is PostgreSQL's five-letter state, "" when the engine refused itself."""

    code = "AUTOMIO-500"

    def __init__(self, message: str, *, sqlstate: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class LocalError(AutomioError):
    """The local platform could not start, reach or stop something it runs (database, cache, port)."""

    code = "AUTOMIO-600"


class ServiceError(AutomioError):
    """A companion was refused or answered nonsense. `.status` is the HTTP status (0: none), `.detail` the server's word."""

    code = "AUTOMIO-700"

    def __init__(self, message: str, *, status: int = 0, detail: str = "", hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.detail = detail


class IntegrationError(ServiceError):
    """The platform itself refused a call to an integration. What the provider answers, errors too, is a value instead."""

    code = "AUTOMIO-701"


class IntegrationAccessDenied(IntegrationError):
    """The token has no right to this integration or connection. Repeating it won't help."""

    code = "AUTOMIO-702"


class PaymentRequired(IntegrationError):
    """The organization's plan does not cover the call. Nothing was sent to the provider."""

    code = "AUTOMIO-703"


class StreamBroken(IntegrationError):
    """A stream ended before its last item. `.received` items arrived; the calls behind the others may have been made."""

    code = "AUTOMIO-704"

    def __init__(self, message: str, *, received: int, status: int = 0, detail: str = "") -> None:
        super().__init__(message, status=status, detail=detail)
        self.received = received


class PluginError(ServiceError):
    """No such plugin or capability, or its signature is not the interface's. Errors inside plugin code are not wrapped."""

    code = "AUTOMIO-710"


class CacheError(ServiceError):
    """A key or value that cannot be cached, or an answer of the cache that cannot be used."""

    code = "AUTOMIO-720"


class CacheUnavailable(CacheError):
    """The cache was not reached in time, or refused the credentials. Nothing is known about the value."""

    code = "AUTOMIO-721"
    hint = "Is it running, and are CACHE_SERVICE_URL or REDIS_HOST and their credentials right?"


class TaskError(ServiceError):
    """The progress of a task cannot be reported."""

    code = "AUTOMIO-730"


class NotificationError(ServiceError):
    """A notification was refused."""

    code = "AUTOMIO-740"
