"""What plan and apply share: everything that is to be published, checked but not written."""

import os
from pathlib import Path

from postconnector.cli.connectors import read_file, valid_organization
from postconnector.cli.failure import CommandFailedError, configuration_error
from postconnector.cli.output import print_problems
from postconnector.model.problem import Severity
from postconnector.policyd.endpoint import Endpoint
from postconnector.postfix.compile import compile_organization
from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.inputs import read_inputs
from postconnector.postfix.own_domains import OwnDomains
from postconnector.postfix.publish import Publication
from postconnector.postfix.rendered import render


def find_host(config_directory: str | None) -> PostfixHost:
    """The Postfix instance that a command is for."""
    try:
        return PostfixHost.at(config_directory)
    except PostfixError as error:
        raise CommandFailedError(os.EX_UNAVAILABLE, str(error)) from None


def prepare(path: Path, host: PostfixHost) -> tuple[Publication, Endpoint]:
    """Read, validate and compile; also where the policy service should be."""
    file = read_file(path)
    organization = valid_organization(file)
    inputs = read_inputs(organization, file.path.resolve().parent)
    problems = file.located(inputs.problems)
    if any(problem.severity is Severity.ERROR for problem in problems):
        raise configuration_error(f"{file.path}: passwords or certificates are missing", problems)
    print_problems(problems)
    facts = host.facts()
    current = host.read_files()
    named = [s.domain for c in organization.connectors for s in c.address_spaces if s.domain]
    own = OwnDomains(host).names(named)
    compiled = compile_organization(organization, facts, own, inputs.passwords, inputs.certificates)
    rendered = render(compiled, facts, current, file.data)
    endpoint = Endpoint.parse(organization.host.policy_service, facts.queue_directory)
    return Publication(host, facts, compiled, rendered, current), endpoint
