"""The command line of postconnector.

Exit status: sysexits, as Postfix' own commands: 0 done, 64 usage, 69 something is not there,
75 try again later, 77 not permitted, 78 the configuration is wrong.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from postconnector import __version__
from postconnector.cli import apply, check, plan, policy, route, show
from postconnector.cli.failure import CommandFailedError
from postconnector.cli.output import print_error, print_problems
from postconnector.postfix.host import PostfixError
from postconnector.sources.connectors_file import DEFAULT_FILE

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

_WITH_POSTFIX = ("plan", "apply", "policy")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print_error(message)
        sys.exit(os.EX_USAGE)


def main(command_line: Sequence[str] | None = None) -> int:
    """Run postconnector with a command line; return the exit status."""
    arguments = _parser().parse_args(command_line)
    arguments.file_given = hasattr(arguments, "file")
    if not arguments.file_given:
        arguments.file = DEFAULT_FILE
    try:
        status: int = arguments.run(arguments)
        sys.stdout.flush()
    except CommandFailedError as error:
        print_problems(error.problems)
        print_error(f"fatal: {error}")
        return error.status
    except PostfixError as error:
        print_error(f"fatal: {error}")
        return os.EX_UNAVAILABLE
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return os.EX_IOERR
    return status


def _parser() -> argparse.ArgumentParser:
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

    def add(
        name: str,
        texts: tuple[str, str],
        add_arguments: Callable[[argparse.ArgumentParser], None],
        run: Callable[[argparse.Namespace], int],
    ) -> None:
        command = commands.add_parser(
            name,
            help=texts[0],
            description=texts[1],
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_file(command)
        add_arguments(command)
        if name in _WITH_POSTFIX:
            _add_config_directory(command, default=argparse.SUPPRESS)
        command.set_defaults(run=run)

    add("check", (check.HELP, check.DESCRIPTION), check.add_arguments, check.run)
    add("list", (show.LIST_HELP, show.LIST_DESCRIPTION), show.add_list_arguments, show.run_list)
    add("show", (show.SHOW_HELP, show.SHOW_DESCRIPTION), show.add_show_arguments, show.run_show)
    add("route", (route.HELP, route.DESCRIPTION), route.add_arguments, route.run)
    add("plan", (plan.HELP, plan.DESCRIPTION), plan.add_arguments, plan.run)
    add("apply", (apply.HELP, apply.DESCRIPTION), apply.add_arguments, apply.run)
    add("policy", (policy.HELP, policy.DESCRIPTION), policy.add_arguments, policy.run)
    return parser


def _add_file(parser: argparse.ArgumentParser) -> None:
    """May stand before or behind the command."""
    parser.add_argument(
        "-c",
        dest="file",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help=f"the connectors file (default: {DEFAULT_FILE})",
    )


def _add_config_directory(parser: argparse.ArgumentParser, default: str | None) -> None:
    """May stand before or behind the command."""
    parser.add_argument(
        "--config-directory",
        default=default,
        metavar="DIRECTORY",
        help="Postfix' configuration directory (default: $MAIL_CONFIG or /etc/postfix)",
    )
