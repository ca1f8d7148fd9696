"""Root -> a command line that runs as somebody else, with one capability left. Next: supervisor.py.

PostgreSQL refuses to run as root, and `nobody` cannot enter the folders that root keeps for itself (a home, a
container's /root with the virtual environment in it: both 0700). Opening those folders would open them to every
user of the machine, so the other way is taken: the command keeps CAP_DAC_READ_SEARCH ("may read and enter every
folder") as an ambient capability across the change of user, and all folders stay as they are. Where the container
does not have it (Docker's default set), CAP_DAC_OVERRIDE is kept instead, and also where the program itself may
be executed by root alone (installed under umask 077), which reading rights do not help.

The rules, each of them there because its absence was seen to fail:
- access(2) drops the capabilities of a process that is not root unless SECBIT_NO_SETUID_FIXUP is set, and initdb and
  postgres look for themselves with access(2). So the bit is set first; where that is not allowed (no CAP_SETPCAP) the
  command still works as long as the programs lie where everybody may enter.
- With that bit set, setuid() takes no capability away: capset() afterwards leaves exactly one.
- PR_SET_NO_NEW_PRIVS: nothing that the server starts gets more than this.

Between fork and exec of a process with threads no Python code can run safely, hence no preexec_fn: this file is also a
program, `python -I -S privileges.py UID GID CAPABILITY COMMAND...`, that drops and then becomes the command (the
process id stays). It runs in a bare interpreter and so imports nothing of automio, and little else.
Linux only: other systems have no ambient capabilities.
"""

from __future__ import annotations

import os
import sys

CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, KILL, SETGID, SETUID = 0, 1, 2, 5, 6, 7
NEEDED = {CHOWN: "CAP_CHOWN", KILL: "CAP_KILL", SETGID: "CAP_SETGID", SETUID: "CAP_SETUID"}

_PR_SET_KEEPCAPS, _PR_SET_SECUREBITS, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 8, 28, 38, 47
_CAP_AMBIENT_RAISE, _NO_SETUID_FIXUP = 2, 1 << 2
_CAPABILITY_VERSION_3 = 0x20080522


def effective_capabilities() -> int:
    """The effective capabilities of this process as a bit mask; 0 where the system has none."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123 (bare interpreter)
            return next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    except OSError:
        return 0


def missing_capabilities(mask: int) -> tuple[str, ...]:
    """The names of the capabilities that root lacks to run a server as another user; empty when all are there."""
    missing = [name for bit, name in NEEDED.items() if not mask >> bit & 1]
    if not (mask >> DAC_READ_SEARCH & 1 or mask >> DAC_OVERRIDE & 1):
        missing.append("CAP_DAC_READ_SEARCH or CAP_DAC_OVERRIDE")
    return tuple(missing)


def kept_capability(mask: int, program: str) -> int:
    """The one capability that the command keeps: the weaker one where it is there and enough to execute `program`."""
    executable_by_all = bool(os.stat(program).st_mode & 0o001)  # noqa: PTH116 (bare interpreter)
    if mask >> DAC_READ_SEARCH & 1 and (executable_by_all or not mask >> DAC_OVERRIDE & 1):
        return DAC_READ_SEARCH
    return DAC_OVERRIDE


def command_as(uid: int, gid: int, command: list[str]) -> list[str]:
    """`command` run as `uid` and `gid` by a root process. Raises OSError when the program is not there."""
    capability = kept_capability(effective_capabilities(), command[0])
    return [sys.executable, "-I", "-S", __file__, str(uid), str(gid), str(capability), *command]


def drop(uid: int, gid: int, capability: int) -> None:
    """Makes this process `uid` and `gid` for good, with `capability` alone. Raises OSError naming the step."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def checked(step: str, result: int) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{step}: {os.strerror(number)}")

    libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)  # not allowed everywhere, not always needed
    checked("keep capabilities", libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    mask = 1 << capability
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; then the upper halves
    checked("capset", libc.capset(header, sets))
    checked("ambient capability", libc.prctl(_PR_CAP_AMBIENT, _CAP_AMBIENT_RAISE, capability, 0, 0))
    checked("no new privileges", libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    os.umask(0o077)


def main(arguments: list[str]) -> int:
    """Becomes the command; comes back only with a fault, told on standard error (127, as a shell would)."""
    uid, gid, capability, *command = arguments
    try:
        drop(int(uid), int(gid), int(capability))
        os.execv(command[0], command)
    except OSError as exc:
        print(f"FATAL:  cannot run {command[0]} as user {uid}: {exc.strerror}", file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
