"""The administrator of a host: has the connectors file, passwords and certificates, and runs
postconnector's real commands.
"""

import os
import smtplib
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.lab.certificates import IssuedCertificate
from tests.lab.child import Child, start_child, stop_child
from tests.lab.command import POSTCONNECTOR, run_command, start_daemon
from tests.lab.loopback import wait_until
from tests.lab.postfix_instance import PostfixInstance


class Administrator:
    """Works on one Postfix instance; what is written stands in a folder beside it."""

    def __init__(self, root: Path, host: PostfixInstance) -> None:
        self.host = host
        self.folder = root / "postconnector"
        self.connectors_file = self.folder / "connectors.toml"
        self.policy_log = root / "policy.log"
        self.agent_log = root / "deliver.log"
        self.milter_log = root / "milter.log"
        for folder in ("secrets", "certificates"):
            (self.folder / folder).mkdir(parents=True, mode=0o700)

    def write_connectors(self, text: str) -> None:
        """Write the connectors file."""
        self.connectors_file.write_text(text)

    def store_password(self, name: str, password: str) -> None:
        """Put a password into secrets/NAME."""
        path = self.folder / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(f"{password}\n")

    def store_certificate(self, name: str, certificate: IssuedCertificate) -> None:
        """Put a certificate with its key into the store."""
        path = self.folder / "certificates" / f"{name}.pem"
        path.touch(mode=0o600)
        path.write_bytes(certificate.chain_file.read_bytes())

    def run(
        self, *arguments: str, path: str | None = None, tracer: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a postconnector command on the host with the connectors file.

        `path`: another PATH, to put something between postconnector and Postfix' commands.
        `tracer`: strace(1) and its options.
        """
        environment = {**os.environ, **({"PATH": path} if path is not None else {})}
        command = ["-c", str(self.connectors_file), "--config-directory"]
        command += [str(self.host.config_directory), *arguments]
        return run_command(command, environment, tracer=tracer)

    def publish(self, text: str) -> None:
        """Write the connectors file and apply it; AssertionError says why it was not."""
        self.write_connectors(text)
        result = self.run("apply")
        assert result.returncode == 0, result.stdout + result.stderr

    def policy_service(self, *, open_files: int | None = None) -> AbstractContextManager[Child]:
        """Run the policy service as systemd would, from when it listens until the end.

        `open_files`: as many at most (its soft limit).
        """
        return self._daemon("policy", self.policy_log, open_files)

    def delivery_agent(self) -> AbstractContextManager[Child]:
        """Run the delivery agent in the same way."""
        return self._daemon("deliver", self.agent_log)

    def milter(self, listen: str | None = None) -> AbstractContextManager[Child]:
        """Run the milter in the same way; `listen`: where, if nothing is published that says so."""
        return self._daemon("milter", self.milter_log, listen=listen)

    @contextmanager
    def _daemon(
        self, command: str, log: Path, open_files: int | None = None, listen: str | None = None
    ) -> Iterator[Child]:
        folder = self.host.queue_directory / "postconnector"
        folder.mkdir(mode=0o755, exist_ok=True)
        said_before = log.stat().st_size if log.exists() else 0
        arguments = [command, "--config-directory", str(self.host.config_directory)]
        arguments += ["--listen", listen] if listen is not None else []
        if open_files is None:
            daemon = start_daemon(arguments, log)
        else:
            limit = ["/bin/sh", "-c", f'ulimit -Sn {open_files} && exec "$@"', "sh"]
            daemon = start_child([*limit, *POSTCONNECTOR, *arguments], log)
        try:
            wait_until(
                lambda: b"listening on" in log.read_bytes()[said_before:] or None, f"{command}"
            )
            yield daemon
        finally:
            stop_child(daemon, timeout=60.0)

    def smtp(self) -> smtplib.SMTP:
        """A client's session with the host."""
        session = smtplib.SMTP(self.host.smtp_address, self.host.smtp_port or 0, timeout=30)
        session.ehlo("client.contoso.test")
        return session
