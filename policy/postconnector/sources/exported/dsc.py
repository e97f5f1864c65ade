"""Declarations of Send connectors for Desired State Configuration.

xExchSendConnector Internet
{
    Name = "Internet"
    AddressSpaces = @("SMTP:*;1")
}
"""

import re

from postconnector.sources.exported.objects import ExportedObject
from postconnector.sources.exported.powershell_lexis import Lexis, normalised
from postconnector.sources.exported.powershell_values import ValueReader

_RESOURCE = re.compile(
    r"""(x?ExchSendConnector)[^\S\n]++(?:[^\s{}'"]++|"[^"\n]*+"|'[^'\n]*+')\s*+(?=\{)""",
    re.IGNORECASE,
)


def read_dsc(text: str) -> list[ExportedObject]:
    """Every resource xExchSendConnector or ExchSendConnector of a text, in order.

    The resource's own name is not among the properties, for Exchange never sees it. Variables and
    expressions are Unresolved. Raises UnreadableExportError, with the line, for a declaration that
    is never closed, gives a property twice or nests too deep, and for a text beyond
    `powershell_lexis.MAX_CHARACTERS`.
    """
    lexis = Lexis(normalised(text))
    objects: list[ExportedObject] = []
    position = 0
    while position < len(lexis.text):
        resource = _RESOURCE.match(lexis.text, position)
        if resource is None:
            position = lexis.skip_loosely(position)
            continue
        reader = ValueReader(lexis, {}, resource.end())
        properties = reader.hash_table()
        line = lexis.line(position)
        objects.append(ExportedObject(properties, line=line, type_name=resource[1]))
        position = reader.position
    return objects
