"""What is counted, under which labels, and how it is asked for by HTTP."""

import gzip
import socket
import urllib.request
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from postconnector.daemon.metrics import Metrics, OrganizationFacts
from postconnector.daemon.metrics_server import MetricsServer, loopback_address
from tests.lab.loopback import free_port

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics()
    made.organization(in_force("A", "B"))
    return made


def in_force(*names: str) -> OrganizationFacts:
    return OrganizationFacts(frozenset(names))


def parsed(text: str) -> Series:
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def series(metrics: Metrics) -> Series:
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
    }


def connectors(metrics: Metrics) -> set[str]:
    """Of all series that have one."""
    labels = (dict(labels) for _, labels in series(metrics))
    return {found["connector"] for found in labels if "connector" in found}


def decisions(metrics: Metrics, connector: str, verdict: str, stage: str = "RCPT") -> float | None:
    labels = (("connector", connector), ("stage", stage), ("verdict", verdict))
    return series(metrics).get(("postconnector_decisions_total", labels))


def test_decisions_are_counted_by_connector_stage_and_verdict(metrics: Metrics) -> None:
    for _ in range(3):
        metrics.decided("A", "RCPT", "refused")
    metrics.decided("B", "END-OF-MESSAGE", "accepted")
    assert decisions(metrics, "A", "refused") == 3
    assert decisions(metrics, "B", "accepted", "END-OF-MESSAGE") == 1


def test_what_no_connector_has_is_counted_without_one(metrics: Metrics) -> None:
    metrics.decided("", "RCPT", "accepted")
    metrics.delivered("", "deferred", 0.1)
    assert decisions(metrics, "", "accepted") == 1
    assert connectors(metrics) == {""}


def test_a_connector_that_is_gone_takes_its_series_along(metrics: Metrics) -> None:
    for name in ("A", "B"):
        metrics.decided(name, "RCPT", "accepted")
        metrics.delivered(name, "sent", 0.1)
    metrics.certificate_days({"A": 10.5, "B": -1})
    metrics.organization(in_force("B", "C"))
    assert connectors(metrics) == {"B"}


def test_what_still_ends_for_it_is_counted_without_a_connector(metrics: Metrics) -> None:
    metrics.delivered("A", "sent", 0.1)
    metrics.organization(in_force("B"))
    metrics.delivered("A", "sent", 0.1)
    assert connectors(metrics) == {""}


def test_a_connector_that_comes_back_begins_anew(metrics: Metrics) -> None:
    metrics.decided("A", "RCPT", "accepted")
    metrics.organization(in_force("B"))
    metrics.organization(in_force("A", "B"))
    metrics.decided("A", "RCPT", "accepted")
    assert decisions(metrics, "A", "accepted") == 1


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=30))
def test_no_word_of_a_stranger_becomes_a_label(said: list[tuple[str, str, str]]) -> None:
    metrics = Metrics()
    metrics.organization(in_force("A"))
    before = len(series(metrics))
    for connector, stage, verdict in said:
        metrics.decided(connector, stage, verdict)
        metrics.answered(stage, 0.001)
        metrics.delivered(connector, verdict, 0.001)
    new = len(series(metrics)) - before
    assert connectors(metrics) <= {"A", ""}
    assert new <= 2 * (6 * 6 + 4 + 10)


def test_answers_are_measured_from_microseconds_to_seconds(metrics: Metrics) -> None:
    for seconds in (0.00004, 0.004, 9.0, 11.0):
        metrics.answered("RCPT", seconds)
    metrics.answered("END-OF-MESSAGE", 0.1)
    metrics.answered("HELO", 0.1)
    found = series(metrics)

    def within(bound: str, stage: str = "RCPT") -> float:
        labels = (("stage", stage), ("le", bound))
        return found["postconnector_answer_seconds_bucket", labels]

    assert [within(bound) for bound in ("5e-05", "0.005", "10.0", "+Inf")] == [1, 2, 3, 4]
    assert (within("+Inf", "END-OF-MESSAGE"), within("+Inf", "other")) == (1, 1)


def test_deliveries_are_counted_and_measured(metrics: Metrics) -> None:
    metrics.delivered("A", "sent", 0.4)
    metrics.delivered("A", "bounced", 40.0)
    found = series(metrics)
    for status in ("sent", "bounced"):
        labels = (("connector", "A"), ("status", status))
        assert found["postconnector_deliveries_total", labels] == 1
    assert found["postconnector_delivery_seconds_sum", (("connector", "A"),)] == pytest.approx(40.4)


def test_the_organization_in_force(metrics: Metrics) -> None:
    def organization() -> dict[str, float]:
        prefix = "postconnector_organization_"
        return {
            name.removeprefix(prefix): value
            for (name, _), value in series(metrics).items()
            if name.startswith(prefix)
        }

    assert organization() == {"connectors": 2, "bad": 0}
    metrics.organization(OrganizationFacts(frozenset("A"), 17, 1_700_000_000, is_bad=True))
    assert organization() == {
        "connectors": 1,
        "bad": 1,
        "generation": 17,
        "loaded_timestamp_seconds": 1_700_000_000,
    }


def test_certificates_are_said_anew_each_time(metrics: Metrics) -> None:
    name = "postconnector_certificate_days_left"
    metrics.certificate_days({"A": 29.5, "B": 300.0, "not in force": 1.0})
    metrics.certificate_days({"A": -2.0})
    found = {key: value for key, value in series(metrics).items() if key[0] == name}
    assert found == {(name, (("connector", "A"),)): -2.0}


def test_the_process_is_measured_without_the_rest_of_proc(metrics: Metrics) -> None:
    """Our units see nothing of /proc but processes."""
    names = {name for name, _ in series(metrics)}
    assert {"process_open_fds", "process_cpu_seconds_total", "process_resident_memory_bytes"} <= (
        names
    )


# --- by HTTP


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest, metrics: Metrics) -> MetricsServer:
    address = request.param
    if address == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    served = MetricsServer((address, free_port()), metrics)
    served.start()
    return served


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def scrape(server: MetricsServer, **headers: str) -> bytes:
    request = urllib.request.Request(server.url, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        body: bytes = response.read()
        return body


def test_prometheus_can_read_it(server: MetricsServer, metrics: Metrics) -> None:
    metrics.organization(in_force('Grüße, "Partner" \\ one'))
    metrics.decided('Grüße, "Partner" \\ one', "RCPT", "refused")
    found = parsed(scrape(server).decode())
    labels = (
        ("connector", 'Grüße, "Partner" \\ one'),
        ("stage", "RCPT"),
        ("verdict", "refused"),
    )
    assert found["postconnector_decisions_total", labels] == 1
    assert not [name for name, _ in found if name.endswith("_created")]
    zipped = scrape(server, **{"Accept-Encoding": "gzip"})
    assert b"postconnector_decisions_total" in gzip.decompress(zipped)
    assert b"# EOF" in scrape(server, Accept="application/openmetrics-text; version=1.0.0")


@pytest.mark.parametrize(
    "nonsense",
    [b"\r\n\r\n", b"\0\xff" * 400, b"POST / HTTP/1.1\r\n\r\n", b"GET " + b"x" * 70_000, b""],
    ids=["empty", "binary", "POST", "endless", "nothing"],
)
def test_nonsense_ends_nothing_but_itself(
    server: MetricsServer, nonsense: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    address = server.address
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(nonsense)
        client.shutdown(socket.SHUT_WR)
        while _said(client):
            pass
    assert b"postconnector" in scrape(server)
    assert "Traceback" not in capfd.readouterr().err


def _said(client: socket.socket) -> bytes:
    try:
        return client.recv(4096)
    except ConnectionResetError:
        return b""


def test_a_client_that_says_nothing_is_hung_up_on(
    metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postconnector.daemon.metrics_server._LONGEST_EXCHANGE", 0.05)
    served = MetricsServer(("127.0.0.1", free_port()), metrics)
    served.start()
    with socket.create_connection(served.address, timeout=10) as silent:
        silent.sendall(b"GET / HT")
        assert silent.recv(1) == b""


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9630", ("127.0.0.1", 9630)),
        ("127.200.0.9:1", ("127.200.0.9", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("::1:9630", ("::1", 9630)),
    ],
)
def test_loopback_addresses(text: str, address: tuple[str, int]) -> None:
    assert loopback_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0:9630",
        "[::]:9630",
        "192.0.2.1:9630",
        "[2001:db8::1]:9630",
        "[::ffff:192.0.2.1]:9630",
        "[::1%lo]:9630",
        "localhost:9630",
        ":9630",
        "9630",
        "",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:٣",
        "127.0.0.1:" + "0" * 5000 + "1",
    ],
)
def test_anything_else_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"write 127\.0\.0\.1:PORT or \[::1\]:PORT"):
        loopback_address(text)


@given(st.text())
def test_no_text_is_a_place_that_others_reach(text: str) -> None:
    try:
        host, _ = loopback_address(text)
    except ValueError:
        return
    assert ip_address(host).is_loopback
