"""postconnector remove: take postconnector out of Postfix."""

import argparse
import os

from postconnector.cli.command import Command
from postconnector.cli.output import print_diff, print_line, tell
from postconnector.cli.publication import find_host
from postconnector.cli.publishing import nothing_half_done, require_root
from postconnector.postfix.plan import configuration_changes
from postconnector.postfix.unpublish import Removal, unpublish


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument(
        "--what-if", action="store_true", help="show what would change, and change nothing"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    removal = Removal.of(find_host(arguments.config_directory))
    if not removal.is_needed:
        print_line("nothing to remove: there is nothing of postconnector's")
        return os.EX_OK
    if arguments.what_if:
        for change in configuration_changes(removal.current, removal.wanted):
            print_diff(change.diff)
        return os.EX_OK
    require_root("remove")
    with nothing_half_done("the files without our part"):
        unpublish(removal, tell)
    tell("removed; all mail takes the way that it took before")
    return os.EX_OK


COMMAND = Command(
    name="remove",
    summary="take postconnector out of Postfix, and restore what was",
    description="""
Takes our block out of main.cf and master.cf, puts back what it replaced, reloads Postfix, and
deletes our folder with its tables, passwords and certificates; what somebody else keeps there
stays, and is named. A host after apply and remove has its old files to the byte; where they were
edited in between, only our part goes. Your connectors file stays.
""",
    details="""
Mail in the queue takes the host's own way from its next attempt on. What a connector's size moved
to another connector (FILTER) keeps naming the service that is gone and waits: postsuper -r ALL
has Postfix route it anew.

The policy service is no longer asked and can be stopped: systemctl disable --now
postconnector-policy

exit status:
  0   removed, or there was nothing
  69  there is no Postfix, or it fails; or our folder could not be deleted; it is said which
  74  a file can't be written; nothing was removed
  75  an apply is at work, or somebody edited main.cf or master.cf meanwhile
  77  not root
  78  Postfix complains about the files without our part, or it can't be told which part is ours;
      nothing was removed
""",
    add_arguments=add_arguments,
    run=run,
    with_postfix=True,
)
