"""The command line, as a person uses it: alone on data, and beside a running server."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from gerbang.cli import main
from gerbang.cli.clock import read_duration
from gerbang.cli.data import shown_address
from gerbang.cli.show import print_table
from gerbang.cli.wallet import read_amount
from gerbang.sandbox.seed import DEMO_CLIENT_ID, demo_pin_hash, seed
from gerbang.settings import SANDBOX_SECRET_KEY
from gerbang.storage import open_database
from gerbang.wallet import PinHasher
from support.card_calls import APPROVED, CardMerchant, CardPage, to_midnight, to_noon
from support.gateway import RunningGateway, independent_signature
from support.listener import Listener
from support.ports import free_port

pytestmark = pytest.mark.slow


GERBANG = (sys.executable, "-m", "gerbang")
PRODUCTION = {
    "GERBANG_MODE": "production",
    "GERBANG_PUBLIC_URL": "https://pay.example.id",
    "GERBANG_ENCRYPTION_KEY": "a key of our own, long enough to be one",
}


@dataclass(frozen=True)
class Cli:
    """Runs commands in this process on one SQLite file."""

    data: Path | str

    def __call__(self, *args: str, env: dict[str, str] | None = None, stdin: str | None = None) -> Result:
        return CliRunner().invoke(main, ["--data", str(self.data), *args], env=env, input=stdin)

    def ok(self, *args: str, **more: Any) -> str:
        """What a command that must succeed prints."""
        result = self(*args, **more)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self.ok(*args, "--json"))


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Commands on data that is not there yet."""
    return Cli(tmp_path / "gerbang.db")


@pytest.fixture
def seeded(cli: Cli) -> Cli:
    """Commands on a sandbox that was started before and runs no more."""
    database = open_database(str(cli.data))
    pin_hash = demo_pin_hash(PinHasher(b"k" * 32))
    database.transact_now(lambda tx: seed(tx, pin_hash=pin_hash, notification_url=None, now=datetime.now(UTC)))
    database.close()
    return cli


class Server:
    """`gerbang serve` or `demo` in a process of its own."""

    def __init__(self, data: Path | str, command: str = "serve", *more: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.child = subprocess.Popen(
            [*GERBANG, command, "--data", str(data), "--port", str(self.port), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"NO_COLOR": "1"},
        )
        self.banner = ""
        assert self.child.stdout is not None
        for line in self.child.stdout:
            self.banner += line
            if line == ")\n":  # the end of what is there to paste
                break
        assert self.child.poll() is None, self.child.communicate()

    def signed(self, method: str, path: str, body: object, client_id: str, secret_key: str) -> tuple[int, Any]:
        """A signed request, signed by code of this test."""
        raw = json.dumps(body).encode()
        headers = {
            "Client-Id": client_id,
            "Request-Id": str(uuid.uuid4()),
            "Request-Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        lines = [f"{name}:{value}" for name, value in headers.items()] + [f"Request-Target:{path}"]
        lines.append("Digest:" + base64.b64encode(hashlib.sha256(raw).digest()).decode())
        headers["Signature"] = independent_signature("\n".join(lines), secret_key)
        return self.request(method, path, raw, headers)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or ({"Content-Type": "application/json"} if body else {}))
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def order(self, invoice: str, **more: Any) -> None:
        body = {"order": {"invoice_number": invoice, "amount": 50_000, **more}}
        status, answer = self.signed("POST", "/dokuwallet-emoney/v1/payment", body, DEMO_CLIENT_ID, SANDBOX_SECRET_KEY)
        assert status == 200, answer

    def stop(self, how: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.child.send_signal(how)
        out, err = self.child.communicate(timeout=15)
        return self.child.returncode, out, err


@pytest.fixture
def server(cli: Cli) -> Iterator[Server]:
    """A server on the data of `cli`."""
    running = Server(cli.data)
    yield running
    if running.child.poll() is None:
        running.stop()


# -- help and trouble


def test_help_lists_each_command_with_the_first_line_of_its_own_help() -> None:
    listed = main.lazy

    for name, (_, short) in listed.items():
        command = main.get_command(None, name)
        assert command is not None
        assert (command.help or "").splitlines()[0] == short


def test_help_is_quick_because_it_imports_no_command() -> None:
    code = "import sys, gerbang.cli; print([name for name in ('msgspec', 'rich', 'starlette', 'uvicorn') if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("merchant", "list"), "no data at .*gerbang.db; start with `gerbang serve`"),
        (("verify", "--data", ":memory:"), "exists inside its own server only"),
        (("verify", "--config", "/nowhere.toml"), "cannot read the settings file"),
        (("verify", "--data", __file__), "cannot open the data at .*test_cli.py"),
    ],
)
def test_trouble_with_the_data_is_one_line(cli: Cli, args: tuple[str, ...], told: str) -> None:
    result = cli(*args)

    assert result.exit_code in (1, 2)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert re.search(told, result.stderr)
    assert not Path(cli.data).exists()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("merchant", "show", "NOPE"), "gerbang merchant list"),
        (("merchant", "create", "--name", "x", "--client-id", DEMO_CLIENT_ID), "another --client-id"),
        (("merchant", "create", "--name", "x", "--notification-url", "shop"), "absolute address"),
        (("merchant", "update", DEMO_CLIENT_ID, "--secret-key", "a b"), "without blanks"),
        (("wallet", "create", "--phone", "12", "--name", "x"), "8 to 16 digits"),
        (("wallet", "create", "--phone", "081299990000", "--name", "x", "--pin", "1"), "six digits"),
        (("wallet", "topup", "081234567891", "9.000.000"), "wallet_basic_balance_limit"),
        (("wallet", "unlock", "0899999999"), "gerbang wallet list"),
        (("payments", "show", "INV-0"), "gerbang payments list"),
        (("notifications", "show", "ntf_0"), "gerbang notifications list"),
        (("refunds", "complete", "rfd_0"), "gerbang refunds list"),
        (("unexpected", "returned", "ump_0"), "gerbang unexpected list"),
        (("outcome", "INV-0", "--response-code", "51"), "gerbang payments list"),
        (("merchant", "card", DEMO_CLIENT_ID, "--set", '{"max_atempts": 3}'), "max_atempts is unknown"),
    ],
)
def test_a_refusal_says_what_to_do_next(seeded: Cli, args: tuple[str, ...], told: str) -> None:
    result = seeded(*args)

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert told in result.stderr


def test_the_clock_of_production_cannot_be_moved(seeded: Cli) -> None:
    result = seeded("clock", "advance", "1h", env=PRODUCTION)

    assert result.exit_code == 1
    assert "the clock can be moved in the sandbox only" in result.stderr


# -- data commands


def test_a_merchant_is_created_listed_without_its_secret_shown_and_changed(cli: Cli) -> None:
    made = cli.json("merchant", "create", "--name", "Toko", "--client-id", "BRN-1", "--secret-key", "SK-ourPresentSecretKey1")
    assert made["secret_key"] == "SK-ourPresentSecretKey1"
    assert made["gateway_public_key"].startswith("-----BEGIN PUBLIC KEY-----")

    for listing in (cli.ok("merchant", "list"), cli.ok("merchant", "list", "--json")):
        assert "BRN-1" in listing
        assert "SK-ourPresentSecretKey1" not in listing

    cli.ok("merchant", "update", "BRN-1", "--notify-expired", "--no-strict-request-id", "--notification-url", "https://a.id/n")
    changed = cli.json("merchant", "show", "BRN-1")
    assert changed["options"] == {"notify_expired": True, "strict_request_id": False}
    assert changed["notification_url"] == "https://a.id/n"
    assert "SK-ourPresentSecretKey1" in cli.ok("merchant", "show", "BRN-1")

    assert cli.json("merchant", "update", "BRN-1", "--default-options", "--notification-url", "")["options"] == {}
    assert cli.json("merchant", "show", "BRN-1")["notification_url"] is None


def test_a_private_key_is_not_taken_for_a_public_one(cli: Cli, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")

    result = cli("merchant", "create", "--name", "Toko", "--snap-public-key", str(key))

    assert result.exit_code == 2
    assert "stays with the merchant" in result.stderr


def test_a_wallet_account_is_opened_funded_and_its_history_shown(cli: Cli) -> None:
    opening = ("--phone", "0812-9999-0000", "--name", "Ani", "--pin", "123456", "--balance", "50.000")
    opened = cli.json("wallet", "create", *opening)
    assert opened["balance"] == 50_000

    assert cli.json("wallet", "topup", "+62 812 9999 0000", "Rp 1.000.000")["balance"] == 1_050_000
    assert "Rp\u00a01.050.000" in cli.ok("wallet", "list")
    history = cli.ok("wallet", "history", opened["account_id"])
    assert "Rp\u00a01.000.000" in history
    assert "WIB" in history
    assert [line["amount"] for line in cli.json("wallet", "history", "081299990000")] == [1_000_000, 50_000]
    assert cli.ok("verify").startswith("clean: 0 payments, 2 transfers, 1 account")


def test_a_locked_account_is_let_in_again(seeded: Cli) -> None:
    assert seeded.json("wallet", "unlock", "081234567892")["status"] == "ACTIVE"


@pytest.mark.parametrize("text", ["50000", "50.000", "50,000", "Rp 50.000", "Rp.50.000", "rp50000", "50_000", "Rp\u00a050.000"])
def test_amounts_are_read_as_people_write_them(text: str) -> None:
    assert read_amount(text) == 50_000


@pytest.mark.parametrize("text", ["50.00", "1.5", "50.000,00", "-5", "", "5e3", "1.000,000", "99999999999999999"])
def test_what_may_mean_another_amount_is_turned_down(text: str) -> None:
    with pytest.raises(ValueError, match="whole rupiah"):
        read_amount(text)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43_200), ("1h30m", 5400), ("2d", 172_800)])
def test_durations(text: str, seconds: int) -> None:
    assert read_duration(text) == seconds


def test_verify_names_each_problem_and_fails(seeded: Cli) -> None:
    database = open_database(str(seeded.data))
    database.transact_now(lambda tx: tx.execute("update balance set amount = amount + 1 where account = 'wallet:1140340011'"))
    database.close()

    result = seeded("verify")
    assert result.exit_code == 1
    assert "wallet:1140340011 holds 45001, its transfers give 45000" in result.stdout
    as_json = seeded("verify", "--json")
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["ok"] is False


def test_moving_the_clock_is_remembered(seeded: Cli) -> None:
    assert seeded.json("clock", "set", "2027-01-01 09:00")["now"] == "2027-01-01T02:00:00Z"
    assert seeded.json("clock", "advance", "1h30m")["now"][:16] == "2027-01-01T03:30"
    assert "2027-01-01 10:30" in seeded.ok("clock", "show")
    assert seeded.json("clock", "reset")["offset_s"] == 0


def test_channels_show_their_test_values(cli: Cli) -> None:
    assert "POST /dokuwallet-emoney/v1/payment" in cli.ok("channels")
    assert cli.json("channels")[0]["magic_values"]


def test_commands_work_on_either_engine(data_address: str) -> None:
    cli = Cli(data_address)
    cli.ok("merchant", "create", "--name", "Toko", "--client-id", "BRN-1")
    cli.ok("wallet", "create", "--phone", "081299990000", "--name", "Ani", "--balance", "50.000")

    assert cli.json("payments", "list", "--state", "open") == []
    assert cli.json("notifications", "list", "--state", "gave_up", "--merchant", "BRN-1") == []
    assert cli.json("clock", "advance", "1d")["due_notifications"] == 0
    assert cli.json("wallet", "history", "081299990000")[0]["amount"] == 50_000
    assert cli.json("verify")["ok"]


def test_a_narrow_terminal_shows_a_block_a_row_so_that_ids_stay_whole(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("gerbang.cli.show._console", lambda: Console(width=40))
    columns, row = ("Id", ">Amount", "URL"), ("ntf_" + "0" * 26, "5", "https://shop.example/notify")

    print_table(columns, [row], empty="")

    assert capsys.readouterr().out.splitlines() == [f"Id      {row[0]}", "Amount  5", f"URL     {row[2]}"]


# -- cards


@pytest.fixture
def beside(sqlite_gateway: RunningGateway) -> Cli:
    """Commands beside a running sandbox, at noon, so that nothing paid is settled before a test says so."""
    to_noon(sqlite_gateway)
    return Cli(sqlite_gateway.gateway.settings.data)


def test_card_options_are_changed_one_by_one_replaced_and_taken_back(seeded: Cli, tmp_path: Path) -> None:
    card = ("merchant", "card", DEMO_CLIENT_ID)
    assert seeded.json(*card)["options"] == {}

    seeded.ok(*card, "--set", '{"max_attempts": 2, "rates_bp": {"SALE": 290}}')
    seeded.ok(*card, "--set", '{"max_attempts": null, "descriptor": true}')
    changed = seeded.json(*card)
    assert changed["options"] == {"rates_bp": {"SALE": 290}, "descriptor": True}
    assert (changed["effective"]["max_attempts"], changed["effective"]["descriptor"]) == (5, True)
    assert '"max_attempts": 5' in seeded.ok(*card, "--show")
    assert '{"rates_bp": {"SALE": 290}, "descriptor": true}' in seeded.ok("merchant", "show", DEMO_CLIENT_ID)

    file = tmp_path / "cards.json"
    file.write_text('{"types": ["SALE"]}')
    seeded.ok(*card, "--file", str(file))
    assert seeded.json(*card)["options"] == {"types": ["SALE"]}
    seeded.ok(*card, "--file", "-", stdin="{}")
    assert seeded.json(*card)["options"] == {}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--set", "max_attempts=3"), "that is no JSON"),
        (("--set", "[]"), "options are a JSON object"),
        (("--set", '{"types": []}'), "types is unknown or cannot be that"),
        (("--set", "{}", "--file", "-"), "not both"),
    ],
)
def test_card_options_that_cannot_be_are_refused_in_one_line(seeded: Cli, args: tuple[str, ...], told: str) -> None:
    result = seeded("merchant", "card", DEMO_CLIENT_ID, *args, stdin="{}")

    assert result.exit_code in (1, 2)
    assert len(result.stderr.splitlines()) == 1
    assert told in result.stderr


def test_other_options_of_a_merchant_are_left_alone_by_its_card_options(seeded: Cli) -> None:
    seeded.ok("merchant", "update", DEMO_CLIENT_ID, "--notify-expired")
    seeded.ok("merchant", "card", DEMO_CLIENT_ID, "--set", '{"max_attempts": 2}')
    seeded.ok("merchant", "update", DEMO_CLIENT_ID, "--strict-request-id")

    options = seeded.json("merchant", "show", DEMO_CLIENT_ID)["options"]

    assert options == {"notify_expired": True, "strict_request_id": True, "channels": {"CREDIT_CARD": {"max_attempts": 2}}}


def test_an_order_shows_its_charges_and_refunds_and_no_card_number(beside: Cli, sqlite_gateway: RunningGateway) -> None:
    shop = CardMerchant(sqlite_gateway)
    page = shop.page()
    beside.ok("outcome", page.invoice, "--merchant", shop.client_id, "--three-ds", "frictionless", "--response-code", "51")
    shop.submit(page)
    beside.ok("outcome", page.invoice, "--clear")
    shop.submit(page, form="another")
    to_midnight(sqlite_gateway)
    shop.refund(page, 30_000)

    shown, told = beside.ok("payments", "show", page.invoice), beside.json("payments", "show", page.invoice)

    for words in ("411111******1111 VISA", "DECLINED", "51 INSUFFICIENT FUNDS", "APPROVED", "PARTIAL_REFUND", "reserve"):
        assert words in shown
    assert re.search(r"Refunded +Rp\u00a030\.000", shown)
    assert [one["response_code"] for one in told["payments"][0]["charges"]] == ["51", "00"]
    assert APPROVED not in shown + json.dumps(told)


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ((), "or --clear alone"),
        (("--clear", "--response-code", "51"), "or --clear alone"),
        (("--three-ds", "maybe"), "--three-ds maybe does not exist"),
    ],
)
def test_an_outcome_that_cannot_come_is_refused(
    beside: Cli, sqlite_gateway: RunningGateway, args: tuple[str, ...], told: str
) -> None:
    page = CardMerchant(sqlite_gateway).page()

    result = beside("outcome", page.invoice, *args)

    assert result.exit_code == 2
    assert told in result.stderr


def test_outcomes_are_not_chosen_in_production(seeded: Cli) -> None:
    result = seeded("outcome", "INV-1", "--response-code", "51", env=PRODUCTION)

    assert result.exit_code == 1
    assert "chosen in the sandbox" in result.stderr


def waiting(gateway: RunningGateway, beside: Cli, amount: int) -> tuple[CardMerchant, CardPage, str]:
    """A refund that waits for a person; its id."""
    shop = CardMerchant(gateway, service="direct", online_refund=False)
    page = shop.paid()
    to_midnight(gateway)
    shop.refund(page, amount)
    return shop, page, str(beside.json("refunds", "list")[-1]["id"])


def test_a_manual_refund_is_listed_and_completed_by_hand(beside: Cli, sqlite_gateway: RunningGateway, listener: Listener) -> None:
    shop, page, refund_id = waiting(sqlite_gateway, beside, 90_000)
    beside.ok("merchant", "update", shop.client_id, "--notification-url", listener.url("/n"))
    listed = beside.ok("refunds", "list")
    assert refund_id in listed
    assert page.invoice in listed
    assert "MANUAL_FULL_REFUND" in listed
    assert "a person" in listed

    done = beside.ok("refunds", "complete", refund_id, "--approval-code", "AB12")

    assert "REFUNDED" in done
    assert "AB12" in done
    assert shop.state(page) == "REFUNDED"
    [told] = listener.wait_for(1)
    assert told.json()["transaction"]["status"] == "REFUNDED"
    assert beside.json("refunds", "list") == []
    again = beside("refunds", "complete", refund_id)
    assert again.exit_code == 1
    assert "no longer in a state that allows this" in again.stderr
    assert beside.ok("verify").startswith("clean")


def test_money_a_till_took_twice_is_listed_and_sent_back_by_hand(beside: Cli, sqlite_gateway: RunningGateway) -> None:
    body = {
        "order": {"invoice_number": "INV-TWICE", "amount": 50_000},
        "online_to_offline_info": {"reusable_status": False},
        "customer": {"name": "Anton"},
    }
    assert sqlite_gateway.signed("POST", "/alfa-online-to-offline/v2/payment-code", body).status == 200
    played = {"client_id": DEMO_CLIENT_ID, "invoice_number": "INV-TWICE", "outcome": "PAID_TWICE"}
    sqlite_gateway.control("POST", "/payments/outcome", played)
    sqlite_gateway.control("POST", "/clock", {"advance_s": 0})

    listed = beside.ok("unexpected", "list")
    [kept] = sqlite_gateway.control("GET", "/unexpected")["unexpected"]
    returned = beside.ok("unexpected", "returned", kept["id"])

    assert "INV-TWICE" in listed
    assert "PAID_AGAIN" in listed
    assert returned == f"{kept['id']}: Rp\u00a050.000 returned\n"
    assert beside.json("unexpected", "list") == []
    assert beside.json("unexpected", "list", "--all")[0]["state"] == "RETURNED"
    assert beside.ok("verify").startswith("clean")


def test_a_manual_refund_that_cannot_be_done_is_failed_by_hand(beside: Cli, sqlite_gateway: RunningGateway) -> None:
    shop, page, refund_id = waiting(sqlite_gateway, beside, 30_000)

    failed = beside.json("refunds", "fail", refund_id, "--message", "account closed")

    assert (failed["state"], failed["message"]) == ("FAILED", "account closed")
    assert (shop.state(page), shop.balance()) == ("SUCCESS", 90_000)
    assert beside.json("refunds", "show", refund_id) == failed


def test_ending_a_refund_needs_no_vault_key(tmp_path: Path) -> None:
    """Who does the bookkeeping by hand has no business with what opens card numbers."""
    beside = Cli(tmp_path / "gerbang.db")
    beside.ok("merchant", "create", "--name", "Toko", "--client-id", "BRN-1")
    production = PRODUCTION | {"GERBANG_CARD_PROVIDER": "support.slow_cards:make"}

    result = beside("refunds", "complete", "rfd_0", env=production)

    assert result.exit_code == 1
    assert "no such refund" in result.stderr


# -- signing

BODY = '{"order":{"invoice_number":"INV-1","amount":50000}}'
PRETTY = json.dumps(json.loads(BODY), indent=2)


def _mac(text: str, key: str = SANDBOX_SECRET_KEY) -> bytes:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()


def _text(target: str = "/p?x=1", body: str = BODY, digest: str | None = None, colon: str = ":") -> str:
    right = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    lines = [("Client-Id", DEMO_CLIENT_ID), ("Request-Id", "R"), ("Request-Timestamp", "T"), ("Request-Target", target)]
    return "\n".join(name + colon + value for name, value in [*lines, ("Digest", right if digest is None else digest)])


def _sent(text: str, key: str = SANDBOX_SECRET_KEY) -> str:
    return "HMACSHA256=" + base64.b64encode(_mac(text, key)).decode()


HEX = hashlib.sha256(BODY.encode()).hexdigest()
B64 = base64.b64encode(bytes.fromhex(HEX)).decode()


@pytest.mark.parametrize(
    ("signature", "told"),
    [
        (_sent(_text() + "\n"), "a line feed at the end"),
        (_sent(_text().replace("\n", "\r\n")), "CRLF"),
        (_sent(_text(colon=": ")), "a space after the colons"),
        (_sent(_text(digest=HEX)), "the digest is written in hex"),
        (_sent(_text(digest="SHA-256=" + B64)), "the prefix SHA-256="),
        (_sent(_text("http://127.0.0.1:8080/p?x=1")), "the whole URL"),
        (_sent(_text(body=PRETTY)), "pretty-printed"),
        (_sent(_text(body=BODY + "\n")), "a line feed after it"),
        (_sent(_text().rpartition("\n")[0]), "no Digest line"),
        (_sent(_text("/p")), "the query string is missing"),
        (_sent(_text(), SANDBOX_SECRET_KEY + "\n"), "a line feed after the secret key"),
        (_mac(_text()).hex(), "the signature is written in hex"),
        (_sent(_text()).removeprefix("HMACSHA256="), "the prefix HMACSHA256= is missing"),
        (_sent(_text(), "another key"), "no usual mistake explains it"),
        ("nonsense", "this is no signature"),
    ],
)
def test_the_usual_mistakes_are_named(cli: Cli, signature: str, told: str) -> None:
    args = ("--body", BODY, "--request-id", "R", "--timestamp", "T", "--compare", signature)

    result = cli("sign", "POST", "/p?x=1", *args)

    assert result.exit_code == 1
    assert told in result.stdout.partition("Compared")[2]


def test_two_mistakes_at_once_are_both_named(cli: Cli) -> None:
    wrong = _sent(_text("/p", body=PRETTY) + "\n")

    result = cli("sign", "POST", "/p?x=1", "--body", BODY, "--request-id", "R", "--timestamp", "T", "--compare", wrong, "--json")

    assert len(json.loads(result.stdout)["mistakes"]) == 3


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (("2026-05-19T05:00:01Z", "Client-Id", "Request-Id", "Request-Timestamp"), "1 s later than the one sent"),
        (("2026-05-19T12:00:00Z", "Client-Id", "Request-Id", "Request-Timestamp"), "Jakarta's"),
        (("2026-05-19T05:00:00.000Z", "Client-Id", "Request-Id", "Request-Timestamp"), "written otherwise"),
        (("2026-05-19T05:00:00Z", "Client-Id", "Request-Timestamp", "Request-Id"), "another order"),
        (("2026-05-19T05:00:00Z", "client-id", "request-id", "request-timestamp"), "lower case"),
    ],
)
def test_a_time_or_lines_other_than_those_sent_are_named(cli: Cli, lines: tuple[str, ...], told: str) -> None:
    timestamp, *names = lines
    values = {"client-id": DEMO_CLIENT_ID, "request-id": "R", "request-timestamp": timestamp, "request-target": "/p"}
    names.append("request-target" if names[0].islower() else "Request-Target")
    wrong = _sent("\n".join(f"{name}:{values[name.lower()]}" for name in names))

    result = cli("sign", "GET", "/p", "--request-id", "R", "--timestamp", "2026-05-19T05:00:00Z", "--compare", wrong)

    assert result.exit_code == 1
    assert told in result.stdout


def test_signing_needs_no_data_and_a_right_signature_is_equal(cli: Cli) -> None:
    args = ("sign", "POST", "/p?x=1", "--body-file", "-", "--request-id", "R", "--timestamp", "T")

    shown = cli.ok(*args, "--compare", _sent(_text()), stdin=BODY)

    assert f"Digest:{B64}" in shown
    assert f"Client-Id:{DEMO_CLIENT_ID}↵" in shown
    assert f"Signature: {_sent(_text())}" in shown
    assert "equal" in shown


def test_the_secret_comes_from_the_data(cli: Cli) -> None:
    cli.ok("merchant", "create", "--name", "Toko", "--client-id", "BRN-1", "--secret-key", "SK-1")

    signed = cli.json("sign", "GET", "/orders/v1/status/INV-1", "--client-id", "BRN-1", "--request-id", "R", "--timestamp", "T")

    text = "Client-Id:BRN-1\nRequest-Id:R\nRequest-Timestamp:T\nRequest-Target:/orders/v1/status/INV-1"
    assert signed["signature"] == _sent(text, "SK-1")
    assert "knows no merchant BRN-2" in cli("sign", "GET", "/", "--client-id", "BRN-2").stderr


# -- servers


@pytest.mark.parametrize("command", ["serve", "demo", "worker"])
def test_data_that_cannot_be_opened_is_one_line_for_servers_too(tmp_path: Path, command: str) -> None:
    (tmp_path / "notes.txt").write_text("no database, " * 20)
    port = () if command == "worker" else ("--port", "0")

    refused = Cli(tmp_path / "notes.txt")(command, *port)

    assert refused.exit_code == 1
    assert refused.stderr.startswith("Error: cannot open the data at ")
    assert refused.stderr.count("\n") == 1


def test_a_worker_makes_no_data_of_a_mistyped_address(cli: Cli) -> None:
    refused = cli("worker")

    assert refused.exit_code == 1
    assert "no data at" in refused.stderr
    assert not Path(cli.data).exists()


def test_the_banner_has_a_first_payment_that_works_when_pasted(server: Server) -> None:
    lines = server.banner[server.banner.index("(\n") :]

    pasted = subprocess.run(["bash"], input=lines, capture_output=True, text=True, timeout=20, check=True)

    page = json.loads(pasted.stdout)["doku_wallet_payment_page"]["url"]
    assert page.startswith(server.url)
    assert DEMO_CLIENT_ID in server.banner
    assert urlsplit(page).path.startswith("/wallet/pay/")


def test_a_program_learns_the_port_from_one_line_of_json() -> None:
    child = subprocess.Popen(
        [*GERBANG, "serve", "--data", ":memory:", "--port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    listening = json.loads(child.stdout.readline())
    connection = http.client.HTTPConnection("127.0.0.1", listening["port"], timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/healthz")
        alive = connection.getresponse().status
    child.terminate()
    rest, err = child.communicate(timeout=15)

    assert alive == 200, err
    assert listening["url"] == f"http://127.0.0.1:{listening['port']}"
    assert (listening["client_id"], listening["secret_key"]) == (DEMO_CLIENT_ID, SANDBOX_SECRET_KEY)
    assert (child.returncode, rest) == (0, "")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_server_cleanly(server: Server, how: int) -> None:
    status, out, err = server.stop(how)

    assert status == 0
    assert out.endswith("Stopped.\n")
    assert "Traceback" not in err


def test_a_taken_port_says_who_holds_it_and_what_to_do(server: Server, tmp_path: Path) -> None:
    command = [*GERBANG, "serve", "--port", str(server.port), "--data", str(tmp_path / "other.db")]

    refused = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert refused.returncode == 1
    assert refused.stdout == ""
    assert f"port {server.port} is taken, probably by another Gerbang" in refused.stderr
    assert re.search(r"--port \d+", refused.stderr)


def test_the_demo_leads_with_the_shop_and_warns_when_open(tmp_path: Path) -> None:
    demo = Server(tmp_path / "demo.db", "demo", "--host", "0.0.0.0")

    connection = http.client.HTTPConnection("127.0.0.1", demo.port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", urlsplit(re.search(r"Shop +(\S+)", demo.banner)[1]).path)
        shop = connection.getresponse().status
    status, _, err = demo.stop()

    assert shop == 200
    assert status == 0
    assert f"Shop        {demo.url}/demo/" in demo.banner
    assert "asks for no password" in err


def test_the_shop_hears_of_the_payment_that_the_demo_prints(tmp_path: Path) -> None:
    demo = Server(tmp_path / "demo.db", "demo")
    try:
        lines = demo.banner[demo.banner.index("(\n") :]
        subprocess.run(["bash"], input=lines, capture_output=True, text=True, timeout=20, check=True)
        cli = Cli(tmp_path / "demo.db")
        [order] = cli.json("payments", "list")
        outcome = {"client_id": DEMO_CLIENT_ID, "invoice_number": order["invoice_number"], "outcome": "SUCCESS"}
        demo.request("POST", "/sandbox/v1/payments/outcome", json.dumps(outcome).encode())
        cli.ok("clock", "advance", "1s")  # answers when what is due has been delivered

        [notification] = cli.json("notifications", "list")
    finally:
        demo.stop()

    assert "Demo buyer  081234567890, PIN 246810" in demo.banner
    assert notification["state"] == "DELIVERED"
    assert notification["url"] == f"{demo.url}/demo/notifications"


def test_production_prints_no_secrets(tmp_path: Path) -> None:
    settings = os.environ | PRODUCTION | {"GERBANG_DATA": str(tmp_path / "gerbang.db"), "NO_COLOR": "1"}
    Cli(tmp_path / "gerbang.db").ok("merchant", "create", "--name", "Toko", "--secret-key", "SK-ofProduction", env=PRODUCTION)
    child = subprocess.Popen(
        [*GERBANG, "serve", "--port", str(free_port())], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=settings
    )
    assert child.stdout is not None
    out = ""
    for line in child.stdout:
        out += line
        if "Listens" in line:
            break
    child.terminate()
    out += child.communicate(timeout=15)[0]

    assert child.returncode == 0, out
    assert "production" in out
    assert "SK-" not in out


def test_a_merchant_made_beside_a_running_server_is_known_at_once(server: Server, cli: Cli) -> None:
    made = cli.json("merchant", "create", "--name", "Toko")
    body = {"order": {"invoice_number": "INV-1", "amount": 50_000}}

    def pay(secret: str) -> int:
        body["order"]["invoice_number"] = uuid.uuid4().hex
        return server.signed("POST", "/dokuwallet-emoney/v1/payment", body, made["client_id"], secret)[0]

    assert pay(made["secret_key"]) == 200
    cli.ok("merchant", "update", made["client_id"], "--secret-key", "SK-changed")
    assert pay("SK-changed") == 200
    assert len(cli.json("payments", "list", "--merchant", made["client_id"])) == 2


def test_time_moved_beside_a_running_server_expires_and_notifies(server: Server, cli: Cli, listener: Listener) -> None:
    cli.ok("merchant", "update", DEMO_CLIENT_ID, "--notify-expired", "--notification-url", listener.url("/n"))
    server.order("INV-1")

    said = cli.ok("clock", "advance", "2h")

    assert "The server closed 1 payment that expired." in said
    assert server.request("GET", "/sandbox/v1/clock")[1]["offset_s"] == 7200
    [received] = listener.wait_for(1)
    assert received.json()["transaction"]["status"] == "EXPIRED"
    shown = cli.ok("payments", "show", "INV-1")
    assert "TIMED_OUT" in shown
    assert "DELIVERED" in shown

    [one] = cli.json("notifications", "list", "--state", "delivered")
    assert "Delivered: answered 200" in cli.ok("notifications", "resend", one["id"])
    assert len(listener.wait_for(2)) == 2
    whole = cli.ok("notifications", "show", one["id"])
    assert "Request-Target:/n" in whole
    assert "Attempt 2" in whole
    assert cli.json("payments", "show", "INV-1")["state"] == "EXPIRED"


def test_without_a_server_what_expired_is_closed_and_the_rest_is_said(
    cli: Cli, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gerbang.cli.outstanding.PATIENCE_S", 0.5)
    server = Server(cli.data)
    cli.ok("merchant", "update", DEMO_CLIENT_ID, "--notify-expired", "--notification-url", listener.url("/n"))
    server.order("INV-1")
    server.stop()

    moved = cli("clock", "advance", "2h")

    assert moved.exit_code == 0
    assert "Closed 1 payment that expired." in moved.stdout
    assert "1 notification due and nobody delivers; start `gerbang serve` or `gerbang worker`" in moved.stderr
    assert cli.json("payments", "list", "--state", "expired")[0]["invoice_number"] == "INV-1"

    worker = subprocess.Popen(
        [*GERBANG, "worker", "--data", str(cli.data)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        listener.wait_for(1)
    finally:
        worker.terminate()
        out, err = worker.communicate(timeout=15)
    assert worker.returncode == 0, err
    assert out.endswith("Stopped.\n")
    assert cli.ok("verify").startswith("clean: 1 payment")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("gerbang.db", "gerbang.db"),
        ("postgresql://me:hunter2@db/gerbang", "postgresql://me:•••@db/gerbang"),
        (
            "postgresql://db/gerbang?user=me&password=hunter2&sslmode=require",
            "postgresql://db/gerbang?user=me&password=•••&sslmode=require",
        ),
        ("postgresql://me@db/gerbang", "postgresql://me@db/gerbang"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert shown_address(address) == shown


def test_no_command_leaves_a_core_dump(tmp_path: Path) -> None:
    """`gerbang vault rotate` and others open what the server sealed."""
    code = (
        "import resource; from click.testing import CliRunner; from gerbang.cli import main;"
        f"CliRunner().invoke(main, ['vault', 'status', '--data', {str(tmp_path / 'none.db')!r}]);"
        "print(resource.getrlimit(resource.RLIMIT_CORE))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "(0, 0)"


def test_a_server_that_crashes_leaves_no_core_dump(server: Server) -> None:
    """Neither in a file nor handed to a program: it has card numbers, PINs and keys in memory."""
    if sys.platform != "linux":
        code = "import resource; from gerbang.core_dumps import forbid_core_dumps as f; f(); print(resource.getrlimit(resource.RLIMIT_CORE))"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "(0, 0)"
        return
    process = Path(f"/proc/{server.child.pid}")
    limit = next(line for line in (process / "limits").read_text().splitlines() if line.startswith("Max core file size"))
    assert limit.split()[4:6] == ["0", "0"]
    # A process that may not be dumped has its entries in /proc owned by root; under root, ask a child of our own.
    code = "import ctypes; from gerbang.core_dumps import forbid_core_dumps as f; f(); print(ctypes.CDLL(None).prctl(3))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "0"
