"""The project's files as the commands see them: codegen.toml read, its faults ending the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from automio.cli.output import CANNOT, Stopped
from automio.errors import CodegenError

if TYPE_CHECKING:
    from automio.codegen.config import CodegenConfig


def read_config(path: Path) -> CodegenConfig:
    """codegen.toml. Raises ConfigError when it is not there, and Stopped for faults in it: without it nothing can run."""
    from automio.codegen.config import load_config

    try:
        return load_config(path)
    except CodegenError as error:
        raise Stopped(error, CANNOT) from error
