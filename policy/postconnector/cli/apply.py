"""postconnector apply: publish the connectors to Postfix."""

import argparse
import os

from postconnector.cli.command import Command
from postconnector.cli.progress import progress
from postconnector.cli.publication import PREPARING, PUBLISHING, find_host
from postconnector.cli.publishing import carry_out, require_root
from postconnector.cli.small_change import LOOKING, prepare_for_apply
from postconnector.postfix.generations import About


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    require_root("apply")
    host = find_host(arguments.config_directory)
    with progress(LOOKING + PREPARING + PUBLISHING) as told:
        publication, policy_service = prepare_for_apply(arguments.file, host, told)
        carry_out(publication, policy_service, About.now("apply"), told)
    return os.EX_OK


COMMAND = Command(
    name="apply",
    summary="publish the connectors to Postfix",
    description="""
Validates the connectors file, builds the tables, has Postfix check the new main.cf and
master.cf, swaps them in, reloads Postfix and asks the live tables for an entry of each connector.
If anything is wrong, the host stays, or is put back, as it was. Doing it twice changes nothing.
With 500 connectors or more, a small change compiles, and asks for, only what it concerns.
The policy service must be running: without it Postfix would defer all mail. So must the delivery
agent, if some connector needs it.
""",
    details="""
files:
  CONFIG_DIRECTORY/main.cf, master.cf            get a marked block at their end
  CONFIG_DIRECTORY/postconnector/live            the published generation
  CONFIG_DIRECTORY/postconnector/generations     the last ten

exit status:
  0   published, or nothing to change
  69  Postfix, the policy service, or a delivery agent that is needed is not there
  74  a file can't be written
  75  another apply is at work, or somebody edited main.cf or master.cf meanwhile
  77  not root
  78  the connectors can't be published, or main.cf or master.cf has to be put in order first
""",
    run=run,
    with_postfix=True,
)
