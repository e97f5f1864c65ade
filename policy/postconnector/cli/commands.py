"""The subcommands, by name. A module is imported when its command is run, or all are listed:
importing them all takes longer than most commands do.
"""

from collections.abc import Iterator
from importlib import import_module

from postconnector.cli.command import Command

_WHERE = {
    "check": "check.COMMAND",
    "list": "show.LIST",
    "show": "show.SHOW",
    "new": "new.NEW",
    "set": "new.SET",
    "remove-connector": "remove_connector.COMMAND",
    "import": "import_.COMMAND",
    "export": "export.COMMAND",
    "route": "route.COMMAND",
    "test": "trial.COMMAND",
    "plan": "plan.COMMAND",
    "apply": "apply.COMMAND",
    "renew": "renew.COMMAND",
    "status": "status.COMMAND",
    "history": "history.HISTORY",
    "rollback": "history.ROLLBACK",
    "remove": "remove.COMMAND",
    "policy": "policy.COMMAND",
    "milter": "milter.COMMAND",
    "deliver": "deliver.COMMAND",
    "send": "send.COMMAND",
}
_ALIASES = {
    "get-sendconnector": "show",
    "new-sendconnector": "new",
    "set-sendconnector": "set",
    "remove-sendconnector": "remove-connector",
}


def command_named(name: str) -> Command | None:
    """The command of this name, or of that name in Exchange, in any case of letters."""
    wanted = name.lower()
    wanted = _ALIASES.get(wanted, wanted)
    return _load(wanted) if wanted in _WHERE else None


def aliases_of(name: str) -> list[str]:
    """What Exchange calls a command."""
    return [alias for alias, meant in _ALIASES.items() if meant == name]


def all_commands() -> Iterator[Command]:
    """Every command, in the order in which they are listed."""
    return map(_load, _WHERE)


def _load(name: str) -> Command:
    module, _, attribute = _WHERE[name].partition(".")
    command: Command = getattr(import_module(f"postconnector.cli.{module}"), attribute)
    return command
