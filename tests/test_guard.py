"""In production notifications go to public addresses only: nothing that a URL says may reach our own network."""

import json
import socket
from pathlib import Path

import pytest

from gerbang.notifications import guard
from gerbang.notifications.guard import ForbiddenAddress, is_public, public_socket
from support.notifying import Delivering, RudeReceiver, as_stored, eventually, queue_one

NOT_PUBLIC = (
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "localhost",
    "",
)

PUBLIC = ("8.8.8.8", "103.10.128.1", "2606:4700:4700::1111", "64:ff9b::808:808", "2002:808:808::1", "::ffff:8.8.8.8")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_no_notification_goes_to(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_notification_may_go_to(address: str):
    assert is_public(address)


# What IANA's registries say, written apart from the product's table: first and last address of each row, and a neighbour outside.
REGISTRY = {
    False: """0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.0 127.255.255.255 169.254.0.0 169.254.255.255
        172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.7 192.0.0.8 192.0.0.11 192.0.0.170 192.0.0.171 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.255
        192.88.99.0 192.88.99.1 192.88.99.255 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0
        203.0.113.255 224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.255
        :: ::1 ::ffff:10.0.0.1 ::ffff:192.0.0.192 64:ff9b::a00:1 64:ff9b::c058:6301 64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100:: 100::1
        100:0:0:1::1 2001:: 2001:0:ffff::1 2001:1::4 2001:2::1 2001:5::1 2001:10::1 2001:1f:ffff::1 2001:40::1 2001:1ff:ffff::1 2001:db8::
        2001:db8:ffff::1 2002:a00:1:: 2002:c000:c0:: 3fff:: 3fff:fff:ffff::1 5f00::1 fc00:: fdff:ffff::1 fe80::1 febf::1 fec0::1 ff0e::1 ::808:808
        4000::1 1::1""",
    True: """1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
        191.255.255.255 192.0.0.9 192.0.0.10 192.0.1.0 192.0.3.0 192.31.196.1 192.52.193.1 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0
        192.175.48.1 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
        2000::1 2001:1::1 2001:1::2 2001:1::3 2001:3::1 2001:4:112::1 2001:20::1 2001:2f:ffff::1 2001:30::1 2001:200::1 2001:db7::1 2001:db9::1
        2002:808:808::1 2003::1 2620:4f:8000::1 3ffe:ffff::1 64:ff9b::808:808 ::ffff:8.8.8.8""",
}  # fmt: skip


def test_the_registries_of_special_addresses_decide() -> None:
    wrong = [
        address for public, addresses in REGISTRY.items() for address in addresses.split() if is_public(address) is not public
    ]

    assert wrong == []


def test_no_socket_is_made_for_an_address_that_is_not_public():
    with pytest.raises(ForbiddenAddress, match=r"127\.0\.0\.1 is not a public address"):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 80)))


def in_production(tmp_path: Path) -> Delivering:
    return Delivering(
        str(tmp_path / "gerbang.db"),
        mode="production",
        encryption_key="only-for-this-test-and-nothing-else",
        public_url="https://pay.example.id",
    )


def refuse(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


# Every spelling that some part of the way (yarl, aiohttp, getaddrinfo) reads as this machine.
SPELLINGS = (
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "017700000001",
    "0",
    "localhost",
    "LOCALHOST.",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "user:password@127.0.0.1",
    "①②⑦.0.0.1",
)


@pytest.mark.parametrize("host", SPELLINGS)
def test_production_refuses_this_machine_however_it_is_spelled_and_records_the_attempt(host: str, tmp_path: Path):
    with (
        RudeReceiver(refuse, host="::" if socket.has_dualstack_ipv6() else "127.0.0.1") as ours,
        in_production(tmp_path) as process,
    ):
        made = queue_one(process.database, f"http://{host}:{ours.port}/notify", payment_id="pay_1")

        _, [attempt] = eventually(lambda: found if (found := as_stored(process.database, made))[1] else None)

        assert ours.connections == 0
        assert attempt.status is None
        assert "Request-Target:/notify" in attempt.string_to_sign
        assert attempt.error


def test_the_refusal_names_the_address_so_that_a_merchant_can_be_told(tmp_path: Path):
    with in_production(tmp_path) as process:
        made = queue_one(process.database, "http://localhost:1/notify", payment_id="pay_1")

        _, [attempt] = eventually(lambda: found if (found := as_stored(process.database, made))[1] else None)

    assert "is not a public address" in (attempt.error or "")


def test_a_name_is_checked_by_the_address_connected_to_not_by_what_it_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    checked: list[str] = []

    def first_public_then_not(address: str) -> bool:
        checked.append(address)
        return len(checked) > 1  # the first address tried is refused, a later one passes

    monkeypatch.setattr(guard, "is_public", first_public_then_not)
    with RudeReceiver(refuse) as ours, in_production(tmp_path) as process:
        made = queue_one(process.database, f"http://127.0.0.1:{ours.port}/notify", payment_id="pay_1")
        _, [attempt] = eventually(lambda: found if (found := as_stored(process.database, made))[1] else None)

        assert checked == ["127.0.0.1"]
        assert ours.connections == 0
        assert attempt.status is None

        # The same address once the check lets it pass: the receiver was there all along.
        again = queue_one(process.database, f"http://127.0.0.1:{ours.port}/notify", payment_id="pay_2")
        _, [attempt] = eventually(lambda: found if (found := as_stored(process.database, again))[1] else None)
        assert attempt.status == 200
        assert ours.connections == 1


def test_the_sandbox_may_notify_this_machine(tmp_path: Path):
    with RudeReceiver(refuse) as ours, Delivering(str(tmp_path / "gerbang.db")) as process:
        made = queue_one(process.database, ours.url("/notify"), payment_id="pay_1")

        _, [attempt] = eventually(lambda: found if (found := as_stored(process.database, made))[1] else None)

        assert attempt.status == 200
        assert json.loads(ours.requests[0].partition(b"\r\n\r\n")[2])["order"]["invoice_number"] == "pay_1"
