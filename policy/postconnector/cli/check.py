"""postconnector check: is the connectors file right?"""

import argparse
import os
from dataclasses import asdict

from postconnector.cli.command import Command
from postconnector.cli.connectors import read_file
from postconnector.cli.output import print_json, print_line, print_problems
from postconnector.model.problem import Problem, Severity


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("--json", action="store_true", help="print the problems as a JSON list")


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    file = read_file(arguments.file)
    if arguments.json:
        print_json([_as_json(problem) for problem in file.problems])
    else:
        print_problems(file.problems)
    errors = sum(problem.severity is Severity.ERROR for problem in file.problems)
    if not arguments.json:
        connectors = file.organization.connectors if file.organization is not None else ()
        warnings = len(file.problems) - errors
        print_line(
            f"{file.path}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"
            + (f", {_count(len(connectors), 'connector')}" if not errors else "")
        )
    return os.EX_CONFIG if errors else os.EX_OK


def _as_json(problem: Problem) -> dict[str, object]:
    wanted = ("connector", "property", "severity", "message", "line")
    values = asdict(problem)
    return {name: values[name] for name in wanted}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


COMMAND = Command(
    name="check",
    summary="validate the connectors file and print every problem",
    description="""
Reads the connectors file and prints every problem in it, each in one line: file, line,
connector, property, what is wrong and what would be right. Changes nothing, and looks at
nothing but the file: passwords and certificates are looked at by plan and apply.
""",
    details="""
examples:
  postconnector check
  postconnector check -c new.toml --json | jq '.[] | select(.severity == "error")'

With --json each problem is an object with connector, property, severity (error or warning),
message and line; what does not apply is null.

exit status:
  0   the file is right (there may be warnings)
  77  the file may not be read
  78  the file has errors, or is not there
""",
    add_arguments=add_arguments,
    run=run,
)
