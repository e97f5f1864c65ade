"""Fuzz one parser with atheris until something is found, the time is over, or ^C.

python -m tests.fuzz policy_requests --seconds 600 FOLDER   goes on with what it found before
python -m tests.fuzz policy_requests crash-0123…            says what an input breaks
"""

import argparse
import importlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import CORPUS, TARGETS, target

_LONGEST_INPUT = 4096
_LONGEST_RUN = 20
"""Seconds after which an input is a finding: nothing that is sent may take us so long."""


def main() -> None:
    """Run the command."""
    arguments = _parser().parse_intermixed_args()
    if arguments.inputs is not None and arguments.inputs.is_file():
        target(arguments.target).check(arguments.inputs.read_bytes())
        print(f"{arguments.inputs}: nothing is wrong with {arguments.target}")
        return
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        words = Path(folder, "words")
        found = arguments.inputs or Path(folder, "found")
        found.mkdir(exist_ok=True, parents=True)
        _fuzz(
            arguments.target,
            words,
            [
                f"-dict={words}",
                f"-max_len={_LONGEST_INPUT}",
                f"-max_total_time={arguments.seconds}",
                f"-runs={arguments.runs}",
                f"-seed={arguments.seed}",
                f"-timeout={_LONGEST_RUN}",
                f"-artifact_prefix={arguments.broken}/",
                str(found),
                str(CORPUS / arguments.target),
            ],
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=0, help="0: until something is found")
    parser.add_argument("--runs", type=int, default=-1, help="so many inputs; -1: no end")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument(
        "--broken", type=Path, default=Path(), help="where an input goes that breaks something"
    )
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="?",
        help="the folder where inputs are kept that reach something new; or one input to try",
    )
    return parser


def _fuzz(name: str, words: Path, options: Sequence[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    # No stubs, and not there for every Python: only whoever fuzzes needs it.
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["postconnector"]):
        found = target(name)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in found.WORDS))
    atheris.Setup([sys.argv[0], *options], found.check, internal_libfuzzer=True)
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
