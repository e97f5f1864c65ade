"""What a subcommand is: each module of this package defines one (or two that are alike)."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    """A command without a command line of its own."""


def _as_it_is(arguments: Sequence[str]) -> list[str]:
    """A command that has its options in one spelling only."""
    return list(arguments)


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand of postconnector.

    `summary`: one line, for the list of commands. `description` stands above the options in its
    help, `details` below them: examples, exit status, files, as in a manual page. `run` returns
    the exit status. `respell` turns its arguments into those that are defined. `with_postfix`: has
    to do with a Postfix instance.
    """

    name: str
    summary: str
    description: str
    details: str
    run: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments
    respell: Callable[[Sequence[str]], list[str]] = _as_it_is
    with_postfix: bool = False
