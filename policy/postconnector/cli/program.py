"""Which program this is: what one has noted, another does not believe."""

import sys
from pathlib import Path

import idna
import pydantic
import tomli

import postconnector
from postconnector.postfix.register import fingerprint


def this_program() -> str:
    """A fingerprint of our own files, by size and date, and of what reads connectors with them."""
    folder = Path(postconnector.__file__).parent
    known = [sys.version, idna.__version__, pydantic.VERSION, tomli.__version__]
    for file in sorted(folder.rglob("*.py")):
        status = file.stat()
        known.append(f"{file.relative_to(folder)} {status.st_size} {status.st_mtime_ns}")
    return fingerprint("\n".join(known).encode())
