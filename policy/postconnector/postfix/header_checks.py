"""The header firewall in Postfix' words: a table of patterns for smtp_header_checks. Pure.

header_checks(5) are asked for each header of the message itself, unfolded lines and all.
"""

from postconnector.enforcement.header_firewall import (
    CROSS_PREMISES,
    CROSSING,
    ORGANIZATION,
    CrossPremises,
    HeaderFirewall,
)

_NOT_CROSS_PREMISES = (f"/^{CROSS_PREMISES}/", "IGNORE")
_MADE_CROSS_PREMISES = (
    f"/^{ORGANIZATION}({'|'.join(CROSSING)})(:.*)$/",
    f"REPLACE {CROSS_PREMISES}$1$2",
)
_WITHOUT_ORGANIZATION = (("/^X-MS-Exchange-(Organization|Forest)-/", "IGNORE"),)
_WITHOUT_ROUTING = (
    ("/^Received:/", "IGNORE"),
    ("/^Resent-(Date|From|Sender|To|Cc|Bcc|Message-ID):/", "IGNORE"),
)


def header_table(firewall: HeaderFirewall) -> str | None:
    """The name of the table of patterns that does it; None if nothing is to be done."""
    if firewall.is_open:
        return None
    kept = "-".join(
        word
        for word, leaves in (("organization", firewall.organization), ("routing", firewall.routing))
        if leaves
    )
    return f"headers/keep-{kept or 'neither'}-cross-premises-{firewall.cross_premises.value}"


def header_patterns(firewall: HeaderFirewall) -> tuple[tuple[str, str], ...]:
    """header_checks(5) in the form of regexp_table(5): the first that matches counts."""
    cross_premises = {
        CrossPremises.AS_THEY_ARE: (),
        CrossPremises.REMOVED: (_NOT_CROSS_PREMISES,),
        CrossPremises.MADE: (_MADE_CROSS_PREMISES,),
    }[firewall.cross_premises]
    return (
        *cross_premises,
        *(() if firewall.organization else _WITHOUT_ORGANIZATION),
        *(() if firewall.routing else _WITHOUT_ROUTING),
    )
