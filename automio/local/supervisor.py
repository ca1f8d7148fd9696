"""A server's command line -> the server under a parent that stops it when its last user is gone. Next: postgres.py.

Three flocks, all in the server's home folder. The kernel gives a flock back however its process ends, kill -9
included, so nothing is ever counted, and no process id is believed:
- users.lock is held shared by every process that uses the server. The supervisor waits for it exclusively: that
  moment comes when nobody is left. It then asks the server to stop, and keeps the lock until the server is gone, so
  that whoever comes meanwhile waits and starts a new one.
- server.lock is held exclusively by the supervisor AND by the server with all its children, which inherit the open
  file. Free means: no process of this server lives, not even a backend whose parent was killed. Seen from another
  container over the same folder it tells the truth too, where a process id would name somebody else.
- supervisor.lock is held by the supervisor alone. Free while server.lock is not: the supervisor was killed and nobody
  watches; the next user restarts the server.

The supervisor is the server's parent, so a dead server never stays behind as a zombie. A flock belongs to an open file:
a child that a user's process forks without exec holds it as well, until it ends.

This file is also the program, `python -I -S supervisor.py ...` (see `main`): about 9 MB, no polling. It runs in a bare
interpreter and so imports nothing of automio, and what the program does not need is imported late.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Self

_POLL_SECONDS = 0.005


class FileLock:
    """An open file of mode 0600 to flock. Not locked at first; `close` gives the lock back.

    `owner` (uid, gid): who owns the file when it is made here. A symbolic link in its place is refused (OSError).
    """

    def __init__(self, path: Path, *, owner: tuple[int, int] | None = None) -> None:
        self.path = path
        try:
            self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except FileExistsError:
            self.fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        else:
            if owner is not None:
                os.fchown(self.fd, *owner)

    def try_exclusive(self) -> bool:
        """Whether the lock is ours now, shared with nobody. Raises OSError where the file system has no locks."""
        return self._try(fcntl.LOCK_EX)

    def wait_exclusive(self, seconds: float) -> bool:
        """As `try_exclusive`, for `seconds`."""
        return self._wait(fcntl.LOCK_EX, seconds)

    def wait_shared(self, seconds: float) -> bool:
        """Whether we got the lock, together with others, within `seconds`."""
        return self._wait(fcntl.LOCK_SH, seconds)

    def close(self) -> None:
        """Idempotent. A copy of the open file in another process (inherited) keeps the lock."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, kind: int, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not self._try(kind):
            if time.monotonic() >= end:
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def launch(
    command: Sequence[str],
    *,
    users: Path,
    server: FileLock,
    supervisor: FileLock,
    log: int,
    environment: Mapping[str, str],
    remove: Sequence[Path] = (),
    stop: signal.Signals = signal.SIGTERM,
    last_resort: signal.Signals = signal.SIGKILL,
    patience: float = 30.0,
) -> subprocess.Popen[bytes]:
    """Starts `command` under a supervisor of its own session and returns the supervisor, which ends when the server has.

    The caller holds both locks exclusively and may close its copies afterwards. `log` gets what both print. `stop` is
    the signal for a clean end, `last_resort` the one sent `patience` seconds later. `remove`: files and empty folders
    to take away after the end (sockets). Raises OSError when the interpreter cannot be started.
    """
    import subprocess

    numbers = [str(supervisor.fd), str(stop.value), str(last_resort.value), str(patience)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__, str(users), *numbers, *map(str, remove), "--", *command],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        cwd="/",
        env=dict(environment),
        pass_fds=(server.fd, supervisor.fd),
        start_new_session=True,  # a Ctrl-C in the user's terminal is not for the server
    )
    threading.Thread(target=process.wait, name="automio-reaper", daemon=True).start()  # no zombie while we live
    return process


def main(arguments: list[str]) -> int:
    """USERS_LOCK SUPERVISOR_FD STOP LAST_RESORT PATIENCE [REMOVE...] -- COMMAND... -> the command's exit status."""
    middle = arguments.index("--")
    users, own, stop, last_resort, patience, *remove = arguments[:middle]
    command = arguments[middle + 1 :]
    os.set_inheritable(int(own), False)  # the server must not hold supervisor.lock
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # what the user's process blocks or ignores is inherited
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    users_fd = os.open(users, os.O_RDWR)
    try:
        child = os.posix_spawn(command[0], command, os.environ)
    except OSError as exc:
        print(f"FATAL:  cannot run {command[0]}: {exc.strerror}", file=sys.stderr)
        return 127

    def ask_to_stop(*_: object) -> None:
        os.kill(child, int(stop))
        insist = threading.Timer(float(patience), os.kill, (child, int(last_resort)))
        insist.daemon = True
        insist.start()

    def watch() -> None:
        fcntl.flock(users_fd, fcntl.LOCK_EX)
        ask_to_stop()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, ask_to_stop)
    threading.Thread(target=watch, daemon=True).start()
    _, status = os.waitpid(child, 0)
    for path in remove:
        try:
            (os.rmdir if os.path.isdir(path) else os.unlink)(path)  # noqa: PTH112 (bare interpreter)
        except OSError:
            pass  # already gone, or not empty
    return os.waitstatus_to_exitcode(status) & 0xFF


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
