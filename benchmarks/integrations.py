"""Parallel calls through the local platform beside raw aiohttp.  python -m benchmarks.integrations [--rounds 7] [--streamed 100000]

Three processes, all on uvloop: a provider (a raw ASGI app in uvicorn: some 300 bytes of JSON a call), the local platform without
a database, and this one. 1,000 calls by `parallel_call_for_connection_async` through the platform, and by `asyncio.gather` over
one aiohttp session with a semaphore of the same size straight to the provider; both decode the JSON. The two take turns,
figures are medians, and only their ratio binds (design, section 10: at least 0.8).

Then `--streamed` calls by `parallel_call_stream_async` from a generator, with the memory of client and platform on the way: what
it is after a tenth, and at most after that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

CALLS = 1000
BOUND = 50
TARGET = 0.8
ANSWER = json.dumps(
    {"id": 7, "name": "an offer", "tags": ["a", "b"], "text": "x" * 200, "price": {"amount": "1.20"}}
).encode()
CONFIG = """
[[tokens]]
token = "token"
organization = 1
apps = [130]
[[integrations]]
id = "shop"
base_url = "{url}"
concurrency = {bound}
[[integrations.connections]]
id = 34
name = "main"
organization = 1
headers = {{ Authorization = "Bearer of-the-benchmark" }}
"""


async def provider(scope: Any, receive: Any, send: Any) -> None:
    """Answers every request."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


async def serve(what: str, url: str) -> None:
    """A server process: prints its address, answers until it is ended."""
    from automio.local.config import read_platform
    from automio.local.platform import Platform
    from automio.local.server import http_server, listening, url_of

    app: Any = provider
    if what == "platform":
        app = Platform(read_platform(CONFIG.format(url=url, bound=BOUND), Path("platform.toml"), {}), cast(Any, None))
    with listening("127.0.0.1", 0) as listener:
        async with http_server(app, listener):
            print(url_of(listener), flush=True)
            await asyncio.Event().wait()


class Server:
    """One of the server processes."""

    def __init__(self, what: str, url: str = "-") -> None:
        command = [sys.executable, "-m", "benchmarks.integrations", "--serve", what, url]
        folder = Path(__file__).resolve().parent.parent
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


async def raw(url: str, calls: int) -> float:
    """Seconds for the calls by aiohttp alone."""
    import aiohttp

    bound = asyncio.Semaphore(BOUND)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=BOUND)) as session:

        async def one(number: int) -> Any:
            async with bound, session.get(f"{url}/offers/{number}") as answer:
                return json.loads(await answer.read())

        await one(0)
        started = time.perf_counter()
        found = await asyncio.gather(*(one(number) for number in range(calls)))
        seconds = time.perf_counter() - started
    assert [value["id"] for value in found] == [7] * calls
    return seconds


async def through(api: Any, calls: int) -> float:
    """Seconds for the calls through the platform."""
    items = [{"url_params": {"id": number}} for number in range(calls)]
    started = time.perf_counter()
    found = await api.integrations.parallel_call_for_connection_async("shop", "GET", "/offers/{id}", items, 34)
    seconds = time.perf_counter() - started
    assert [one.api_data["id"] for one in found] == [7] * calls
    return seconds


async def streamed(api: Any, calls: int, server: int) -> None:
    """Prints the rate and the memory of a long stream."""
    requests = ({"url_params": {"id": number}} for number in range(calls))
    early, most, count = (0.0, 0.0), (0.0, 0.0), 0
    started = time.perf_counter()
    async for item in api.integrations.parallel_call_stream_async("shop", "GET", "/offers/{id}", requests, 34):
        if item.get("final"):
            assert item["total_processed"] == calls
            continue
        count += 1
        if count == calls // 10:
            early = most = memory("self"), memory(str(server))
        elif count > calls // 10 and count % 1000 == 0:
            most = max(most[0], memory("self")), max(most[1], memory(str(server)))
    seconds = time.perf_counter() - started
    assert count == calls
    print(f"streamed {calls}: {seconds:.1f} s, {calls / seconds:.0f} a second")
    print(f"memory of the client   {early[0]:5.0f} MB after a tenth, then at most {most[0]:.0f} MB")
    print(f"memory of the platform {early[1]:5.0f} MB after a tenth, then at most {most[1]:.0f} MB")


def memory(process: str) -> float:
    """MB of a process; 0 where the system doesn't say."""
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in text.splitlines() if line.startswith("VmRSS"))


async def measure(arguments: argparse.Namespace, direct: Server, local: Server) -> None:
    from automio.wrapper import API

    async with API(
        api_base_url=local.url, app_token="token", app_id=None, hasura_graphql_endpoint=None, timeout=120
    ) as api:
        await raw(direct.url, 100)
        await through(api, 100)
        seconds: dict[str, list[float]] = {"raw": [], "automio": []}
        for turn in range(arguments.rounds):
            for name in ("raw", "automio") if turn % 2 else ("automio", "raw"):
                seconds[name].append(await (raw(direct.url, CALLS) if name == "raw" else through(api, CALLS)))
        by_hand, ours = statistics.median(seconds["raw"]), statistics.median(seconds["automio"])
        packages = ", ".join(f"{one} {version(one)}" for one in ("aiohttp", "uvicorn", "uvloop"))
        print(f"Python {platform.python_version()}, {packages}; {CALLS} calls, {BOUND} in flight")
        for name, figures in seconds.items():
            shown = statistics.median(figures)
            print(f"{name:8s} {1000 * shown:6.0f} ms  ({1000 * min(figures):.0f} to {1000 * max(figures):.0f})")
        print(f"ratio    {by_hand / ours:6.2f}  (target: at least {TARGET})")
        if arguments.streamed:
            await streamed(api, arguments.streamed, local.process.pid)


def main() -> None:
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--streamed", type=int, default=100_000, help="calls of the stream; 0: none")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        uvloop.run(serve(*arguments.serve))
        return
    direct = Server("provider")
    try:
        local = Server("platform", direct.url)
        try:
            uvloop.run(measure(arguments, direct, local))
        finally:
            local.close()
    finally:
        direct.close()


if __name__ == "__main__":
    main()
