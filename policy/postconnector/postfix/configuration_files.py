"""Our part of main.cf and master.cf: put in, and taken out again to the byte.

Both files get one marked block at their end, and it stays where it is when others add lines behind
it. A parameter that the block sets and the host sets too is commented out where it stands, so that
Postfix reads each once and a reader sees both. The block also has what the host defines in terms of
such a parameter (see `host_parameters`).
Pure text in, text out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from postconnector.postfix.compiled import Parameter, Service
from postconnector.postfix.host_parameters import read_parameters, with_followers
from postconnector.postfix.marked_block import (
    REPLACED,
    around_ours,
    block_in,
    with_block,
    without_ours,
)
from postconnector.postfix.quoting import comment, master_cf_option
from postconnector.postfix.table_names import TRANSPORT_TABLE

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_OPTION = re.compile(r"[ ]+-o (?P<brace>[{] )?(?P<name>\w+) ?= ?(?P<value>.*?)(?(brace) [}])")


def main_cf_with(
    current: str, parameters: Iterable[Parameter], own_values: Mapping[str, str] | None = None
) -> str:
    """main.cf with our parameters in place of those that it may have.

    `own_values`: what the host has for them, whether main.cf says it or is silent.
    """
    before, behind = map(_LINE.findall, around_ours(current))
    lines = [*before, *behind]
    theirs = list(read_parameters(lines))
    values = {parameter.name: parameter.value for parameter in theirs}
    ours = list(with_followers(parameters, values, own_values or {}))
    replaced = {parameter.name for parameter in ours}
    out = {number for name, _, numbers in theirs if name in replaced for number in numbers}
    kept = [REPLACED + line if number in out else line for number, line in enumerate(lines)]
    block = "".join(f"{comment(each.reason)}{each.name} = {each.value}\n" for each in ours)
    place = len(before)
    return with_block("".join(kept[:place]), block, "".join(kept[place:]))


def service_entries(services: Iterable[Service], chroot: str) -> dict[str, str]:
    """The entries of services in master.cf, by name."""
    return {service.name: _entry(service, chroot) for service in services}


def master_cf_with(current: str, entries: Mapping[str, str]) -> str:
    """master.cf with these entries in our block, in place of those that it may have."""
    before, behind = around_ours(current)
    return with_block(before, "".join(entries.values()), behind) if entries else before + behind


def entry_names(master_cf: str) -> Iterator[str]:
    """The services of all entries in master.cf, whoever wrote them."""
    for line in master_cf.splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            yield line.split(maxsplit=1)[0]


def entries_in(master_cf: str) -> dict[str, str]:
    """The entries that stand in our block of master.cf, by name."""
    block = block_in(master_cf)
    found: dict[str, str] = {}
    entry = ""
    for line in [*_LINE.findall(block), "end\n"]:
        begins = line.startswith("#") or not line[0].isspace()
        if begins and (name := _entry_name(entry)) is not None:
            found[name], entry = entry, ""
        entry += line
    return found


def parameters_in(main_cf: str) -> dict[str, Parameter]:
    """The parameters that stand in our block of main.cf, a line each, below their reasons."""
    found: dict[str, Parameter] = {}
    reason = ""
    for line in block_in(main_cf).splitlines():
        name, equals, value = line.partition("=")
        if line.startswith("#"):
            reason = line.removeprefix("# ")
        elif equals:
            found[name.strip()] = Parameter(name.strip(), value.strip(), reason)
    return found


def own_parameters(main_cf: str) -> dict[str, str]:
    """What the host itself defines in main.cf."""
    lines = _LINE.findall(without_ours(main_cf))
    return {parameter.name: parameter.value for parameter in read_parameters(lines)}


def options_in(entry: str) -> dict[str, str]:
    """The settings (-o) of an entry of ours in master.cf."""
    found = (_OPTION.fullmatch(line) for line in entry.splitlines())
    return {option["name"]: option["value"] for option in found if option is not None}


def folder_in_force(main_cf: str, own_directory: Path) -> str | None:
    """The folder of ours, by name, from which main.cf has Postfix take the transport table."""
    pattern = rf"{re.escape(str(own_directory))}/(?P<folder>[a-z-]+)/{TRANSPORT_TABLE}\b"
    found = re.search(pattern, block_in(main_cf))
    return found["folder"] if found is not None else None


def _entry_name(entry: str) -> str | None:
    """The service of an entry; None while it is only comments."""
    lines = [line for line in entry.splitlines() if not line.startswith("#")]
    return lines[0].split(maxsplit=1)[0] if lines else None


def _entry(service: Service, chroot: str) -> str:
    # Of the agent's socket Postfix knows only where it is from outside.
    where = chroot if service.program == "smtp" else "n"
    private = "-" if service.is_private else "n"
    # cleanup(8) insists on it: who waits for one would hold up those that it waits for.
    processes = "0" if service.program == "cleanup" else "-"
    head = f"{service.name} unix {private} - {where} - {processes} {service.program}\n"
    lines = [comment(_carried_out_by(service)), head]
    for setting in service.settings:
        option = master_cf_option(setting.name, setting.value, setting.then)
        lines.append(f"  {option}\n")
    return "".join(lines)


def _carried_out_by(service: Service) -> str:
    """Members of a shared service are not listed: they come and go without a reload."""
    if not service.is_private:
        return "What the delivery agent hands back"
    if service.program == "lmtp" and not service.connectors:
        return "Messages whose recipients need answers of their own"
    if service.program == "lmtp":
        return "Send connectors that the delivery agent carries out"
    if len(service.connectors) == 1:
        return f'Send connector "{service.connectors[0].name}"'
    return "Send connectors that differ only in smart host, credential and TLS names"
