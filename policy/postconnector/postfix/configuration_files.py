"""Our part of main.cf and master.cf: put in, and taken out again to the byte.

Both files get one marked block at their end. A parameter that the block sets and the host sets
too is commented out where it stands, so that Postfix reads each once and a reader sees both. The
block also has what the host defines in terms of such a parameter (see `host_parameters`).
Pure text in, text out.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from postconnector.postfix.compiled import Parameter, Service
from postconnector.postfix.host_parameters import read_parameters, with_followers
from postconnector.postfix.quoting import comment, master_cf_option
from postconnector.postfix.table_names import TRANSPORT_TABLE

BEGIN = "# BEGIN postconnector: written by postconnector apply, and undone by taking it out"
END = "# END postconnector"
_NO_NEWLINE = " (the file had no newline at its end)"
_REPLACED = "#postconnector replaces# "
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_OPTION = re.compile(r"[ ]+-o (?P<brace>[{] )?(?P<name>\w+) ?= ?(?P<value>.*?)(?(brace) [}])")


def main_cf_with(
    original: str, parameters: Iterable[Parameter], own_values: Mapping[str, str] | None = None
) -> str:
    """main.cf with our parameters; `original` is the file without them.

    `own_values`: what the host has for them, whether main.cf says it or is silent.
    """
    lines = _LINE.findall(original)
    theirs = list(read_parameters(lines))
    values = {parameter.name: parameter.value for parameter in theirs}
    ours = list(with_followers(parameters, values, own_values or {}))
    replaced = {parameter.name for parameter in ours}
    out = {number for name, _, numbers in theirs if name in replaced for number in numbers}
    kept = "".join(_REPLACED + line if number in out else line for number, line in enumerate(lines))
    block = "".join(f"{comment(each.reason)}{each.name} = {each.value}\n" for each in ours)
    return _with_block(kept, block)


def service_entries(services: Iterable[Service], chroot: str) -> dict[str, str]:
    """The entries of services in master.cf, by name."""
    return {service.name: _entry(service, chroot) for service in services}


def master_cf_with(original: str, entries: Mapping[str, str]) -> str:
    """master.cf with these entries in our block; `original` is the file without it."""
    return _with_block(original, "".join(entries.values())) if entries else original


def entries_in(master_cf: str) -> dict[str, str]:
    """The entries that stand in our block of master.cf, by name."""
    block = _block(master_cf)
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
    for line in _block(main_cf).splitlines():
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
    found = re.search(pattern, _block(main_cf))
    return found["folder"] if found is not None else None


def _entry_name(entry: str) -> str | None:
    """The service of an entry; None while it is only comments."""
    lines = [line for line in entry.splitlines() if not line.startswith("#")]
    return lines[0].split(maxsplit=1)[0] if lines else None


def _entry(service: Service, chroot: str) -> str:
    # Of the agent's socket Postfix knows only where it is from outside.
    where = chroot if service.program == "smtp" else "n"
    head = f"{service.name} unix - - {where} - - {service.program}\n"
    lines = [comment(_carried_out_by(service)), head]
    for setting in service.settings:
        option = master_cf_option(setting.name, setting.value, setting.then)
        lines.append(f"  {option}\n")
    return "".join(lines)


def _carried_out_by(service: Service) -> str:
    """Members of a shared service are not listed: they come and go without a reload."""
    if service.program == "lmtp":
        return "Send connectors that the delivery agent carries out"
    if len(service.connectors) == 1:
        return f'Send connector "{service.connectors[0].name}"'
    return "Send connectors that differ only in smart host, credential and TLS names"


def without_ours(text: str) -> str:
    """The file as it is without our block, and with what we commented out."""
    start = text.find(BEGIN)
    if start < 0:
        return text
    first_line = text[start:].partition("\n")[0]
    before = text[:start]
    end = text.find(END, start)
    after = text[end:].partition("\n")[2] if end >= 0 else ""
    if first_line.endswith(_NO_NEWLINE) and not after:
        before = before.removesuffix("\n")
    return "".join(line.removeprefix(_REPLACED) for line in _LINE.findall(before + after))


def _block(text: str) -> str:
    """What stands between the two lines that mark our block."""
    _, begin, rest = text.partition(BEGIN)
    inside, end, _ = rest.partition(END)
    return inside.partition("\n")[2] if begin and end else ""


def _with_block(text: str, block: str) -> str:
    begin = BEGIN
    if text and not text.endswith("\n"):
        begin += _NO_NEWLINE
        text += "\n"
    return f"{text}{begin}\n{block}{END}\n"
