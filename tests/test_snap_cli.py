"""The command line for SNAP: keys and token URLs of merchants, signing by hand, messages, bindings, upgrades, notifications."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gerbang.cli import main
from gerbang.notifications.outbox import enqueue
from gerbang.sandbox.seed import DEMO_CLIENT_ID
from gerbang.settings import SANDBOX_SECRET_KEY, load_settings
from gerbang.wallet import Level, create_account
from gerbang.wallet.kyc import Identity, submit
from support.gateway import RunningGateway
from support.notifying import eventually
from support.snap import B2B, PRIVATE_PEM, PUBLIC_PEM, SnapCaller, reference, symmetric_signature
from support.snap_merchant import SnapMerchant

INQUIRY = "/snap-adapter/b2b/v1.0/registration-account-inquiry"
CREATION = "/snap-adapter/b2b/v1.0/registration-account-creation"
PHONE = "081298765432"


@dataclass(frozen=True)
class Cli:
    data: str

    def __call__(self, *args: str, env: dict[str, str] | None = None) -> Result:
        return CliRunner().invoke(main, ["--data", self.data, *args], env=env)

    def ok(self, *args: str) -> str:
        result = self(*args)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *args: str) -> Any:
        return json.loads(self.ok(*args, "--json"))


@pytest.fixture
def cli(gateway: RunningGateway) -> Cli:
    """Commands beside a running gateway, on either engine."""
    return Cli(gateway.gateway.settings.data)


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    path = tmp_path / "merchant.pem"
    path.write_text(PRIVATE_PEM)
    return path


def sent(lines: str) -> dict[str, str]:
    """Headers as `--headers` prints them."""
    return dict(line.split(": ", 1) for line in lines.splitlines())


# -- signing


def test_headers_signed_by_hand_are_taken_by_the_gateway(gateway: RunningGateway, cli: Cli, pem: Path, tmp_path: Path) -> None:
    public = tmp_path / "public.pem"
    public.write_text(PUBLIC_PEM)
    cli.ok("merchant", "update", DEMO_CLIENT_ID, "--snap-public-key", str(public))

    asked = sent(cli.ok("sign", "--snap", "POST", B2B, "--private-key", str(pem), "--headers"))
    answer = gateway.request("POST", B2B, b'{"grantType":"client_credentials"}', asked)
    assert answer.status == 200, answer.body
    token = answer.json["accessToken"]

    # With blanks that a person types: what is hashed is the body without them.
    body = '{ "partnerReferenceNo": "R-1", "additionalInfo": {"accountId": "1 1"} }'
    headers = sent(cli.ok("sign", "--snap", "POST", INQUIRY, "--access-token", token, "--body", body, "--headers"))
    answer = gateway.request("POST", INQUIRY, body.encode(), headers)
    assert answer.json["responseCode"] == "4040811"  # signed rightly; there is no such binding


def test_a_signed_call_shows_everything_that_went_into_it(cli: Cli) -> None:
    found = cli.json(
        "sign", "--snap", "POST", INQUIRY, "--access-token", "eyJ", "--customer-token", "eyC", "--external-id", "7",
        "--timestamp", "2026-01-02T03:04:05+07:00", "--body", '{"a": 1}',
    )  # fmt: skip

    digest = hashlib.sha256(b'{"a":1}').hexdigest()
    assert found["body_hash"] == digest
    assert found["string_to_sign"] == f"POST:{INQUIRY}:eyJ:{digest}:2026-01-02T03:04:05+07:00"
    assert found["signature"] == symmetric_signature(found["string_to_sign"], SANDBOX_SECRET_KEY)
    assert found["headers"]["Authorization"] == "Bearer eyJ"
    assert found["headers"]["Authorization-Customer"] == "Bearer eyC"
    assert (found["headers"]["X-EXTERNAL-ID"], found["headers"]["X-PARTNER-ID"]) == ("7", DEMO_CLIENT_ID)


def test_what_is_missing_is_told(cli: Cli, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text(PUBLIC_PEM)

    for args, told in (
        (("sign", "--snap", "POST", INQUIRY), "give --access-token"),
        (("sign", "POST", INQUIRY, "--access-token", "x"), "go with --snap"),
        (("sign", "--snap", "POST", B2B, "--private-key", str(garbage)), "is no RSA private key"),
        (("sign", "--snap", "POST", B2B, "--private-key", str(tmp_path / "absent")), "cannot read"),
        (("sign", "--snap", "POST", "no-slash", "--access-token", "x"), "it starts with /"),
        (("sign", "--snap", "POST", INQUIRY, "--access-token", "x", "--compare", "x"), "needs the --timestamp"),
    ):
        result = cli(*args)
        assert result.exit_code == 2, result.output
        assert told in result.output


STAMP = "2026-05-19T12:00:00+07:00"
SENT_BODY = '{"partnerReferenceNo": "R-1"}'
COMPACT = SENT_BODY.replace(" ", "")


def made(
    *,
    method: str = "POST",
    target: str = INQUIRY,
    token: str = "eyJ.b2b",
    digest: str | None = None,
    stamp: str = STAMP,
    key: str = SANDBOX_SECRET_KEY,
) -> str:
    digest = hashlib.sha256(COMPACT.encode()).hexdigest() if digest is None else digest
    return symmetric_signature(f"{method}:{target}:{token}:{digest}:{stamp}", key)


def compare(cli: Cli, signature: str) -> Result:
    return cli(
        "sign", "--snap", "POST", INQUIRY, "--access-token", "eyJ.b2b", "--customer-token", "eyC.customer",
        "--timestamp", STAMP, "--body", SENT_BODY, "--compare", signature,
    )  # fmt: skip


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_right_signature_is_equal_in_every_form_of_the_body(cli: Cli) -> None:
    for body in (COMPACT, SENT_BODY):
        result = compare(cli, made(digest=hashlib.sha256(body.encode()).hexdigest()))
        assert result.exit_code == 0, result.output
        assert "equal: the signature is right" in result.output


@pytest.mark.parametrize("engine", ["sqlite"])
@pytest.mark.parametrize(
    ("signature", "told"),
    [
        (base64.b64decode(made()).hex(), "written in hex"),
        (base64.b64encode(base64.b64decode(made()).hex().encode()).decode(), "base64 of the hex digits"),
        (made(token="eyC.customer"), "the customer's token was signed"),
        (made(token="Bearer eyJ.b2b"), "with Bearer before it"),
        (made(target="https://api-sandbox.doku.com" + INQUIRY), "the whole URL was signed"),
        (made(method="post"), "lower case"),
        (made(digest=hashlib.sha256(COMPACT.encode()).hexdigest().upper()), "upper case"),
        (made(digest=base64.b64encode(hashlib.sha256(COMPACT.encode()).digest()).decode()), "base64; it is lower-case hex"),
        (made(digest=COMPACT), "the body itself was signed"),
        (made(digest=hashlib.sha256(b"").hexdigest()), "an empty body was hashed"),
        (made(stamp="2026-05-19T12:00:01+07:00"), "1 s later"),
        (made(key=SANDBOX_SECRET_KEY + "\n"), "a line feed after the secret key"),
        (made(key=DEMO_CLIENT_ID), "the client id was used as the key"),
        (made(token="eyC.customer", stamp="2026-05-19T11:59:58+07:00"), "and also"),
        ("nonsense", "this is no signature"),
        (made(key="SK-another"), "no usual mistake explains it"),
    ],
)
def test_the_usual_mistakes_are_named(cli: Cli, signature: str, told: str) -> None:
    result = compare(cli, signature)

    assert result.exit_code == 1
    assert told in result.output


# -- merchants


def test_a_token_url_is_set_shown_and_removed(cli: Cli) -> None:
    cli.ok("merchant", "update", DEMO_CLIENT_ID, "--snap-token-url", "https://shop.example/token")
    assert cli.json("merchant", "show", DEMO_CLIENT_ID)["options"]["snap_token_url"] == "https://shop.example/token"

    cli.ok("merchant", "update", DEMO_CLIENT_ID, "--snap-token-url", "")
    assert "snap_token_url" not in cli.json("merchant", "show", DEMO_CLIENT_ID)["options"]

    result = cli("merchant", "update", DEMO_CLIENT_ID, "--snap-token-url", "shop.example")
    assert result.exit_code == 2
    assert "absolute http or https URL" in result.output


def test_a_merchant_made_by_the_control_api_may_have_a_token_url(gateway: RunningGateway, cli: Cli) -> None:
    keys = gateway.control(
        "POST",
        "/merchants",
        {"name": "Toko", "snap_public_key": PUBLIC_PEM, "snap_token_url": "http://127.0.0.1:9001/token"},
    )

    assert cli.json("merchant", "show", keys["client_id"])["options"] == {"snap_token_url": "http://127.0.0.1:9001/token"}
    refused = gateway.request("POST", "/sandbox/v1/merchants", b'{"name":"Toko","snap_token_url":"nowhere"}')
    assert refused.status == 400


# -- customers


def test_messages_show_the_one_time_password_of_a_registration(gateway: RunningGateway, cli: Cli) -> None:
    body = {
        "partnerReferenceNo": reference(),
        "name": "Rina Kusuma",
        "phoneNo": PHONE,
        "email": "rina@example.id",
        "redirectUrl": "https://app.example/r",
    }
    assert SnapCaller(gateway).call(CREATION, body).status == 200

    [told] = cli.json("messages", "--phone", PHONE)

    assert (told["phone"], told["code"], told["used"], told["over"]) == ("62" + PHONE[1:], "123456", False, False)
    assert "123 456" in told["text"]
    assert "123456" in cli.ok("messages")
    assert cli.json("messages", "--phone", "081211111111") == []


def test_messages_are_not_to_be_read_in_production(cli: Cli) -> None:
    production = {
        "GERBANG_MODE": "production",
        "GERBANG_PUBLIC_URL": "https://pay.example.id",
        "GERBANG_ENCRYPTION_KEY": "a key of our own, long enough to be one",
    }

    result = cli("messages", env=production)

    assert result.exit_code == 1
    assert "sandbox only" in result.output


def test_bindings_of_a_customer_are_listed(gateway: RunningGateway, cli: Cli) -> None:
    account_id = gateway.database.transact_now(
        lambda tx: create_account(tx, phone=PHONE, name="Rina", now=gateway.gateway.clock.now()).id
    )
    assert cli.json("wallet", "bindings", PHONE) == []
    binding, _ = SnapCaller(gateway).bind(account_id)

    [found] = cli.json("wallet", "bindings", PHONE)

    assert (found["link_id"], found["client_id"]) == (binding.id, DEMO_CLIENT_ID)
    assert found["merchant"]
    assert cli("wallet", "bindings", "0899").exit_code != 0


def test_an_operator_upgrades_a_customer_on_their_own_word(gateway: RunningGateway, cli: Cli) -> None:
    gateway.database.transact_now(lambda tx: create_account(tx, phone=PHONE, name="Rina", now=gateway.gateway.clock.now()))

    assert cli.json("wallet", "upgrade", PHONE)["level"] == Level.PREMIUM


def test_what_a_customer_gave_is_looked_at_and_decided(gateway: RunningGateway, cli: Cli) -> None:
    production = load_settings(
        env={},
        given={"mode": "production", "public_url": "https://pay.example.id", "data": gateway.gateway.settings.data,
               "encryption_key": "the sandbox key that everybody knows, at least as long"},
    )  # fmt: skip
    identity = Identity("3174012345678901", "Rina Kusuma", "Bandung", date(1990, 5, 17), "Jl. Melati 7")

    def ask(tx: Any) -> str:
        made = create_account(tx, phone=PHONE, name="Rina", now=gateway.gateway.clock.now())
        # Only production waits for a person.
        submit(tx, made, identity, settings=production, now=gateway.gateway.clock.now())
        return made.id

    account_id = gateway.database.transact_now(ask)
    keys = {"GERBANG_ENCRYPTION_KEY": "the sandbox key that everybody knows, at least as long"}

    assert [one["account_id"] for one in cli.json("wallet", "upgrades")] == [account_id]
    shown = cli("wallet", "upgrade", PHONE, "--show", env=keys)
    assert "3174012345678901" in shown.output
    assert "Jl. Melati 7" in shown.output
    assert cli.json("wallet", "upgrade", PHONE, "--reject")["level"] == Level.BASIC
    assert cli.json("wallet", "upgrades") == []
    assert cli("wallet", "upgrade", PHONE, "--reject").exit_code == 1
    assert cli.json("wallet", "upgrade", PHONE)["level"] == Level.PREMIUM


# -- notifications


def test_both_legs_of_a_notification_are_shown(gateway: RunningGateway, cli: Cli) -> None:
    with SnapMerchant(client_id=DEMO_CLIENT_ID, secret_key=SANDBOX_SECRET_KEY, private_pem=PRIVATE_PEM) as merchant:
        merchant.token_answer = lambda _token: (200, {"responseCode": "4017300", "responseMessage": "Unauthorized."})
        cli.ok("merchant", "update", DEMO_CLIENT_ID, "--snap-token-url", merchant.token_url)
        sent_id = gateway.database.transact_now(
            lambda tx: enqueue(
                tx,
                merchant_id=DEMO_CLIENT_ID,
                order_id="ord_1",
                payment_id="pay_1",
                kind="snap",
                url=merchant.notification_url,
                body=b'{"a":1}',
                now=gateway.gateway.clock.now(),
            )
        )
        failed = eventually(lambda: cli.json("notifications", "show", sent_id)["attempts"])
        assert failed[0]["before"]["status"] == 200

        merchant.token_answer = lambda token: (200, {"accessToken": token})
        cli.ok("notifications", "resend", sent_id)
        token = merchant.tokens[-1]

    shown = cli.ok("notifications", "show", sent_id)
    assert f"no token from {merchant.token_url}: refused: 4017300 Unauthorized." in shown.replace("\n", " ")
    assert f"Token asked from {merchant.token_url}: answered 200" in shown
    assert f"{DEMO_CLIENT_ID}|" in shown
    assert "Authorization: Bearer " in shown
    assert token not in shown
