"""What `generate` has written, in `.automio/written/`: tells a file that was edited by hand from one that is only old.

For each generated file the digest of the text that was written last is kept. A file that automio would replace or remove,
and whose text is none of these, was edited by somebody. It is replaced all the same, since a package that is old in one
file breaks, but it is reported, and its text is kept in `.automio/edited/`. Compilers that overwrite without a word lose
work; those that refuse stop everybody for a line that nobody meant to keep.

The record is of this machine. Where it is missing (a fresh clone) an edited file looks like an old one; `--check` names it
either way.

While files are being replaced, both digests count: a run that is killed there must not take its own files for edited ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from automio.codegen.config import CodegenConfig
from automio.codegen.folders import STATE


@dataclass(slots=True)
class Written:
    """Path from the project's root -> digests of texts that automio wrote there."""

    root: Path
    place: Path
    digests: dict[str, list[str]]

    @classmethod
    def of(cls, config: CodegenConfig) -> Written:
        """The record; an empty one when there is none, or when it cannot be read."""
        place = config.root / STATE / "written" / f"{Path(config.path).stem}.json"
        try:
            value = json.loads(place.read_bytes())
            digests = {str(name): [str(digest) for digest in own] for name, own in value.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            digests = {}
        return cls(config.root, place, digests)

    def edited(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the files whose text automio did not write."""
        found: list[str] = []
        for name in names:
            known = self.digests.get(name)
            try:
                if known and digest((self.root / name).read_bytes()) not in known:
                    found.append(name)
            except OSError:
                continue
        return tuple(found)

    def keep(self, names: Iterable[str]) -> None:
        """Copy edited files to `.automio/edited/`, before they are replaced."""
        for name in names:
            copy = self.root / STATE / "edited" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((self.root / name).read_bytes())

    def begin(self, files: Mapping[str, bytes]) -> None:
        """These texts are about to be written."""
        for name, content in files.items():
            self.digests[name] = [*self.digests.get(name, ())[-1:], digest(content)]
        self.save()

    def end(self, files: Mapping[Path, str], standing: Collection[Path]) -> None:
        """These are all the files, and the disk has them, whoever wrote them: a checkout of git counts too.

        `standing` ones were written, and noted, by an earlier run."""
        before, self.digests = self.digests, {}
        for path, text in files.items():
            name = path.as_posix()
            known = before.get(name, []) if path in standing else []
            self.digests[name] = known if len(known) == 1 else [digest(text.encode())]
        if before != self.digests:
            self.save()

    def save(self) -> None:
        """Where the record cannot be kept, edits are not told from old files, and nothing else changes."""
        beside = self.place.with_name(f".{self.place.name}.{os.getpid()}.new")
        try:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text(json.dumps(self.digests, separators=(",", ":"), sort_keys=True), encoding="utf-8")
            beside.replace(self.place)
        except OSError:
            beside.unlink(missing_ok=True)


def digest(content: bytes) -> str:
    """Length and checksum: an edit is no attack, and every run of `generate` does this for every file."""
    return f"{len(content)}-{crc32(content):08x}"
