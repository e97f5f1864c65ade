"""The command line of postconnector.

Exit status: sysexits, as Postfix' own commands: 0 done, 64 usage, 69 something is not there,
75 try again later, 77 not permitted, 78 the configuration is wrong.
"""

import argparse
import gc
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from postconnector import __version__
from postconnector.cli.command import Command
from postconnector.cli.commands import aliases_of, all_commands, command_named
from postconnector.cli.failure import CommandFailedError
from postconnector.cli.output import print_error, print_problems
from postconnector.postfix.host import OutOfOrderError, PostfixError
from postconnector.postfix.interruption import InterruptedByError, end_in_order

_DESCRIPTION = "Exchange Send connectors for Postfix: declare, check, explain, publish, enforce."
_EPILOG = """
The usual way: edit the connectors file, then

  postconnector check                      is it right?
  postconnector route bob@contoso.com      where would this go, and why?
  postconnector plan                       what would change in Postfix?
  postconnector apply                      do it

Exit status is that of sysexits(3): 0 done, 64 usage, 69 something is not there, 75 try again
later, 77 not permitted, 78 the configuration is wrong. Documentation: docs/ in the source.
"""

_DEFAULT_FILE = Path("/etc/postconnector/connectors.toml")
_WITH_VALUE = ("-c", "--config-directory")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print_error(message)
        sys.exit(os.EX_USAGE)


def main(command_line: Sequence[str] | None = None) -> int:
    """Run postconnector with a command line; return the exit status."""
    _have_streams()
    _print_any_text()
    end_in_order()
    gc.disable()  # looking for garbage takes longer than all else when there are many connectors
    try:
        arguments = _parse(sys.argv[1:] if command_line is None else command_line)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except CommandFailedError as error:
        print_problems(error.problems)
        print_error(f"fatal: {error}")
        return error.status
    except PostfixError as error:
        print_error(f"fatal: {error}")
        return os.EX_CONFIG if isinstance(error, OutOfOrderError) else os.EX_UNAVAILABLE
    except InterruptedByError as error:
        print_error(f"interrupted{f': {error}' if str(error) else ''}")
        return 128 + error.number
    except KeyboardInterrupt:
        print_error("interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_IOERR
    except OSError as error:
        print_error(f"fatal: {error.filename or 'system'}: {error.strerror or error}")
        return os.EX_NOPERM if isinstance(error, PermissionError) else os.EX_IOERR
    return status


def _parse(command_line: Sequence[str]) -> argparse.Namespace:
    respelled, command = _respelled(command_line)
    arguments = _parser(command).parse_args(respelled)
    arguments.file_given = hasattr(arguments, "file")
    if not arguments.file_given:
        arguments.file = _DEFAULT_FILE
    return arguments


def _respelled(command_line: Sequence[str]) -> tuple[list[str], Command | None]:
    """The command line as argparse is to see it, and the command in it.

    Exchange's commands are named in any case, and some take options in its spelling.
    """
    takes_value = False
    for index, argument in enumerate(command_line):
        if takes_value or argument.startswith("-"):
            takes_value = not takes_value and argument in _WITH_VALUE
            continue
        command = command_named(argument)
        if command is None:
            break
        behind = command.respell(command_line[index + 1 :])
        return [*command_line[:index], command.name, *behind], command
    return list(command_line), None


def _have_streams() -> None:
    """Whoever closed standard output, as some daemons do, wants nothing printed."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open("r" if name == "stdin" else "w")  # noqa: SIM115
            setattr(sys, name, stream)


def _print_any_text() -> None:
    """A name that the terminal's character set does not have is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parser(chosen: Command | None) -> argparse.ArgumentParser:
    """The parser; of a chosen command alone, as no other is asked for, or else of all."""
    parser = _Parser(
        prog="postconnector",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"postconnector {__version__}")
    _add_file(parser)
    _add_config_directory(parser, default=None)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for command in all_commands() if chosen is None else (chosen,):
        subparser = commands.add_parser(
            command.name,
            aliases=aliases_of(command.name),
            help=command.summary,
            description=command.description,
            epilog=command.details,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_file(subparser)
        command.add_arguments(subparser)
        if command.with_postfix:
            _add_config_directory(subparser, default=argparse.SUPPRESS)
        subparser.set_defaults(run=command.run)
    return parser


def _add_file(parser: argparse.ArgumentParser) -> None:
    """May stand before or behind the command."""
    parser.add_argument(
        "-c",
        dest="file",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help=f"the connectors file (default: {_DEFAULT_FILE})",
    )


def _add_config_directory(parser: argparse.ArgumentParser, default: str | None) -> None:
    """May stand before or behind the command."""
    parser.add_argument(
        "--config-directory",
        default=default,
        metavar="DIRECTORY",
        help="Postfix' configuration directory (default: $MAIL_CONFIG or /etc/postfix)",
    )
