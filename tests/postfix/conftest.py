"""Fixtures of the tests on real Postfix: worlds that are up, and hosts to publish to."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.demo.world import World, contoso_world
from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority
from tests.lab.loopback import free_port
from tests.lab.postfix_instance import PostfixInstance


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As an installed program is: commands of ours are run by the hundred."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session", autouse=True)
def _real_parts() -> None:
    """Without Postfix and root nothing here can run; continuous integration has both."""
    missing = [
        name for name in ("postfix", "nsd", "saslpasswd2", "strace") if shutil.which(name) is None
    ]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        reason = f"needs {', '.join(missing)}; run make test as root"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def contoso() -> Iterator[World]:
    """The demo's world with its connectors published and our daemons running."""
    with ExitStack() as stack:
        world = stack.enter_context(contoso_world())
        stack.enter_context(world.administrator.policy_service())
        stack.enter_context(world.administrator.delivery_agent())
        result = world.administrator.run("apply")
        assert result.returncode == 0, result.stdout + result.stderr
        yield world


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that Postfix' user may enter (pytest's own it may not)."""
    with tempfile.TemporaryDirectory(prefix="pct-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def authority(root: Path) -> CertificateAuthority:
    """A test CA."""
    return CertificateAuthority(root / "ca")


@pytest.fixture
def enter() -> Iterator[ExitStack]:
    """Servers entered here end with the test."""
    with ExitStack() as stack:
        yield stack


HostMaker = Callable[..., Administrator]


@pytest.fixture
def new_host(root: Path, enter: ExitStack, authority: CertificateAuthority) -> HostMaker:
    """Start a host with these main.cf settings and return its administrator."""

    def make(
        main_cf: dict[str, str] | None = None,
        resolver: str | None = None,
        *,
        policy_service: bool = True,
        delivery_agent: bool = False,
        master_cf: str = "",
    ) -> Administrator:
        settings = {
            "myhostname": "host.contoso.test",
            "virtual_mailbox_domains": "contoso.test",
            "message_size_limit": "0",
            "smtp_tls_CAfile": str(authority.ca_file),
            **(main_cf or {}),
        }
        host = PostfixInstance(
            root,
            "host",
            main_cf=settings,
            master_cf=master_cf,
            smtp_port=free_port(),
            resolver=resolver,
        )
        administrator = Administrator(root, enter.enter_context(host))
        if policy_service:
            enter.enter_context(administrator.policy_service())
        if delivery_agent:
            enter.enter_context(administrator.delivery_agent())
        return administrator

    return make
