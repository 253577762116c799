"""Every setting, with one name: a TOML key, an environment variable (`GERBANG_` + the name in capitals), a line in docs/settings.md."""

import hmac
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gerbang.urls import is_absolute_url, is_base_url

ENV_PREFIX = "GERBANG_"

# Keys that ship with the sandbox, readable by everyone: production refuses them.
SANDBOX_SECRET_KEY = "SK-gerbangDemoSecret001"  # noqa: S105 - public on purpose
SANDBOX_ENCRYPTION_KEY = "sandbox-key-known-to-everyone-000"


class BadSettings(Exception):
    """A setting is unknown, malformed, or unsafe. The text says which, and what to do."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How this installation runs."""

    mode: Annotated[
        Literal["sandbox", "production"],
        Meta(description="`sandbox` has simulators, demo data, the control API and a movable clock."),
    ] = "sandbox"
    data: Annotated[str, Meta(min_length=1, description="SQLite file, `:memory:`, or a `postgresql://` address.")] = "gerbang.db"
    host: Annotated[str, Meta(description="Address to listen on. The sandbox stays on loopback unless told otherwise.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8080
    public_url: Annotated[
        str,
        Meta(
            description="Where buyers reach the hosted pages, e.g. `https://pay.example.id`. Empty: the address each request came to (sandbox only)."
        ),
    ] = ""
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="Sandbox: other names under which the control API, the simulators and the demo shop answer, e.g. `gerbang` in a compose file. Loopback, `host` and that of `public_url` need no mention."
        ),
    ] = ()
    encryption_key: Annotated[
        str,
        Meta(
            description="At least 32 characters; protects PINs and signs page sessions. Mandatory in production. Changing it makes every stored PIN invalid."
        ),
    ] = ""
    request_timestamp_window_s: Annotated[
        int,
        Meta(
            ge=0,
            description="How far a Request-Timestamp may be from the machine's clock, in seconds; 0 does not check (sandbox only).",
        ),
    ] = 3600
    strict_request_id: Annotated[
        bool,
        Meta(
            description="Refuse a repeated Request-Id even when the body differs (409 `idempotent_request`), and on Jenius Pay an invoice"
            " number that is not the Request-Id."
        ),
    ] = False
    request_id_retention_s: Annotated[
        int,
        Meta(
            ge=60,
            description="How long first answers are kept for repeats, in seconds; in production at least twice `request_timestamp_window_s`.",
        ),
    ] = 86_400
    strict_override_path: Annotated[
        bool,
        Meta(
            description="Follow DOKU's page: an override notification URL counts only when its path equals the configured URL's."
        ),
    ] = False
    max_body_bytes: Annotated[int, Meta(ge=1024, description="Largest request body accepted, in bytes.")] = 1_048_576
    max_head_bytes: Annotated[
        int, Meta(ge=1024, description="Largest request head accepted, URL and headers together, in bytes; else 431 or 414.")
    ] = 32_768
    arrival_timeout_s: Annotated[
        float,
        Meta(gt=0, le=3600, description="Longest a request's head, and then its body, may take to arrive, in seconds; then 408."),
    ] = 20
    max_connections: Annotated[
        int,
        Meta(
            ge=16,
            description="Most connections at once; beyond that, those on which nothing is said give way. Lower when the system allows fewer file descriptors.",
        ),
    ] = 2_000
    payment_expiry_min: Annotated[int, Meta(ge=1, description="How long a DOKU e-Wallet page can be paid, in minutes.")] = 60
    page_session_min: Annotated[
        int, Meta(ge=1, description="How long a buyer stays signed in on a payment page, in minutes.")
    ] = 10
    ewallet_default_success_url: Annotated[
        str, Meta(description="Where a DOKU e-Wallet buyer goes with auto_redirect and no success_url.")
    ] = "https://www.doku.com"
    notification_timeout_s: Annotated[
        float, Meta(gt=0, le=3600, description="Longest a merchant's endpoint may take to answer a notification, in seconds.")
    ] = 30
    notification_connect_timeout_s: Annotated[
        float, Meta(gt=0, le=3600, description="Longest connecting to it may take, in seconds.")
    ] = 10
    notification_retry_delays_s: Annotated[
        tuple[Annotated[int, Meta(ge=0)], ...], Meta(description="When to try again, in seconds after the notification was made.")
    ] = (1_800, 21_600, 43_200)
    wallet_basic_balance_limit: Annotated[int, Meta(ge=0, description="Most a basic account may hold, in rupiah.")] = 2_000_000
    wallet_basic_monthly_limit: Annotated[
        int, Meta(ge=0, description="Most a basic account may receive per calendar month, in rupiah.")
    ] = 20_000_000
    wallet_premium_balance_limit: Annotated[int, Meta(ge=0, description="Most a premium account may hold, in rupiah.")] = (
        20_000_000
    )
    wallet_premium_monthly_limit: Annotated[
        int, Meta(ge=0, description="Most a premium account may receive per calendar month, in rupiah.")
    ] = 40_000_000
    vault_key: Annotated[
        str,
        Meta(
            description="Protects card numbers: 32 bytes in base64, or a text of at least 32 characters. Mandatory in production with cards, unless vault_key_file is given."
        ),
    ] = ""
    vault_key_file: Annotated[str, Meta(description="A file with that key, readable by its owner only.")] = ""
    card_provider: Annotated[
        str,
        Meta(
            description="Who is asked about cards, as `module:function`. Empty: the sandbox's simulators; in production cards are then not offered."
        ),
    ] = ""
    card_page_expiry_min: Annotated[int, Meta(ge=1, description="How long a card page can be paid, in minutes.")] = 60
    card_capture_window_h: Annotated[
        int, Meta(ge=1, description="How long an authorisation can be captured before it is released, in hours.")
    ] = 168
    card_settles_after_min: Annotated[
        int,
        Meta(
            ge=0,
            description="When a card payment counts as settled (refund instead of void), in minutes after it was paid or captured. 0: at the next midnight in Jakarta.",
        ),
    ] = 0
    card_challenge_min: Annotated[
        int, Meta(ge=1, description="How long a buyer may take for the bank's verification, in minutes.")
    ] = 6
    card_answer_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=600,
            description="Longest an acquirer may take before the sweeper finds out what became of a question, in seconds.",
        ),
    ] = 35
    mandiri_invoice_max: Annotated[
        int, Meta(ge=1, le=64, description="Longest invoice number that Bank Mandiri takes for cards (newer documents say 30).")
    ] = 27
    require_customer_contact: Annotated[
        bool, Meta(description="Refuse a card page without customer e-mail and phone. Off for clients that send `customer: {}`.")
    ] = True
    snap_timestamp_window_s: Annotated[
        int,
        Meta(
            ge=0,
            description="How far an X-TIMESTAMP may be from the machine's clock, in seconds; 0 does not check (sandbox only).",
        ),
    ] = 900
    snap_token_life_s: Annotated[
        int, Meta(ge=1, description="How long a SNAP token lives after it was issued or last used, in seconds.")
    ] = 900
    snap_token_longest_h: Annotated[
        int, Meta(ge=1, description="How long a SNAP token lives however often it is used, in hours.")
    ] = 24
    latest_token_only: Annotated[
        bool, Meta(description="Follow DOKU's page: a new SNAP token ends the older ones of the same client or binding.")
    ] = False
    token_grace_s: Annotated[
        int, Meta(ge=0, description="With latest_token_only, how long an older token still works, in seconds.")
    ] = 5
    strict_external_id: Annotated[
        bool, Meta(description="Refuse a repeated X-EXTERNAL-ID of a day even when the body differs.")
    ] = False
    fixed_otp: Annotated[str, Meta(description="Sandbox: every one-time password. Empty: random, see the SMS inbox.")] = "123456"
    messages_provider: Annotated[str, Meta(description="Who sends SMS, as `module:function`. Empty: the sandbox's inbox.")] = ""
    bank_provider: Annotated[
        str, Meta(description="Who transfers to bank accounts, as `module:function`. Empty: the sandbox's pretend bank.")
    ] = ""
    wallet_transfer_fee: Annotated[
        int, Meta(ge=0, description="What a transfer to a bank account costs the customer, in rupiah.")
    ] = 0
    wallet_transfer_limit: Annotated[int, Meta(ge=1, description="Most one transfer may move, in rupiah.")] = 10_000_000
    providers: Annotated[
        tuple[str, ...],
        Meta(
            description="Who takes the money on each channel outside, as `CHANNEL=module:function`. Sandbox: pretend ones, else."
        ),
    ] = ()
    provider_timeout_s: Annotated[
        float, Meta(gt=0, le=120, description="How long a provider is waited for before its silence is reported, in seconds.")
    ] = 10.0
    ovo_timeout_s: Annotated[
        float,
        Meta(gt=0, le=600, description="How long an OVO push waits for its buyer before it is answered `TIMEOUT`, in seconds."),
    ] = 70.0
    poll_interval_s: Annotated[
        float, Meta(gt=0, le=3600, description="How often background work looks for what other processes did, in seconds.")
    ] = 0.2
    database_connections: Annotated[int, Meta(ge=1, description="PostgreSQL connections per process.")] = 16
    database_timeout_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="PostgreSQL: longest a transaction may take, waiting included, in seconds; then the call is answered 503.",
        ),
    ] = 5
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Meta(description="How much is logged.")] = "info"

    def key(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose, derived from `encryption_key` (in the sandbox, from one that everyone knows)."""
        secret = self.encryption_key or SANDBOX_ENCRYPTION_KEY
        return hmac.digest(secret.encode(), f"gerbang {purpose}".encode(), "sha256")

    @property
    def is_sandbox(self) -> bool:
        return self.mode == "sandbox"


def load_settings(
    *, config: str | Path | None = None, env: Mapping[str, str] | None = None, given: Mapping[str, Any] | None = None
) -> Settings:
    """Settings from a TOML file, then the environment, then what was given on the command line; later ones win.

    Raises BadSettings.
    """
    environment = os.environ if env is None else env
    merged: dict[str, Any] = {}
    path = config or environment.get("GERBANG_CONFIG")
    if path:
        try:
            merged.update(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise BadSettings(f"cannot read the settings file {path}: {error}") from None
    for name in Settings.__struct_fields__:
        text = environment.get(ENV_PREFIX + name.upper())
        if text is not None:
            merged[name] = _from_text(name, text)
    merged.update({name: value for name, value in (given or {}).items() if value is not None})
    unknown = sorted(set(merged) - set(Settings.__struct_fields__))
    if unknown:
        raise BadSettings(f"unknown setting {unknown[0]!r}; docs/settings.md lists them all")
    try:
        settings = msgspec.convert(merged, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(str(error).replace("`$.", "setting `").replace("$.", "")) from None
    _check(settings)
    return settings


def _from_text(name: str, text: str) -> Any:
    if name in ("notification_retry_delays_s", "providers", "allowed_hosts"):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


_UNITS_S = {"s": 1, "min": 60, "h": 3_600}
_LONGEST_S = 100 * 365 * 86_400  # later than that, and a moment may have no date
_MOST = 9_999_999_999_999_999


def _check(settings: Settings) -> None:
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        unit_s = _UNITS_S.get(name.rpartition("_")[2])
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, int | float) and one > (_MOST if unit_s is None else _LONGEST_S // unit_s):
                raise BadSettings(f"setting {name} is {one}, which is {'too much' if unit_s is None else 'more than 100 years'}")
    if settings.public_url and not is_base_url(settings.public_url):
        raise BadSettings(f"setting public_url is {settings.public_url!r}, not an address such as https://pay.example.id")
    if not is_absolute_url(settings.ewallet_default_success_url):
        raise BadSettings(f"setting ewallet_default_success_url is {settings.ewallet_default_success_url!r}, which is no address")
    for one in settings.providers:
        if not _PROVIDER.fullmatch(one):
            raise BadSettings(f"setting providers has {one!r}, which is not of the form CHANNEL=module:function")
    if settings.is_sandbox:
        return
    if len(settings.encryption_key) < 32 or settings.encryption_key == SANDBOX_ENCRYPTION_KEY:
        raise BadSettings("production needs encryption_key with at least 32 characters of its own; try: openssl rand -base64 32")
    if not settings.public_url.startswith("https://"):
        raise BadSettings("production needs public_url, the https:// address where buyers reach this gateway")
    window_s = 2 * settings.request_timestamp_window_s  # a timestamp may lie that far behind us, or ahead
    if not window_s or settings.request_id_retention_s < window_s:
        raise BadSettings(
            "production needs request_timestamp_window_s above 0 and request_id_retention_s at least twice that:"
            " otherwise a request overheard could be sent again after its first answer was forgotten"
        )
    if settings.data == ":memory:":
        raise BadSettings("production needs data on a disk, not `:memory:`, which is gone when the program ends")


_PROVIDER = re.compile(r"[A-Z_]+=[\w.]+:\w+", re.ASCII)


def as_markdown() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Generated by `make snapshots`; do not edit. Each setting is a key of the TOML file (`--config`, or `GERBANG_CONFIG`) and",
        "an environment variable. The environment wins over the file, the command line over both.",
        "",
        "| TOML key | environment variable | default | meaning |",
        "|---|---|---|---|",
    ]
    defaults = Settings()
    types = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for name in Settings.__struct_fields__:
        default = getattr(defaults, name)
        shown = (
            ",".join(map(str, default))
            if isinstance(default, tuple)
            else str(default).lower()
            if isinstance(default, bool)
            else str(default)
        )
        description = _description(types[name])
        lines.append(f"| `{name}` | `{ENV_PREFIX}{name.upper()}` | {f'`{shown}`' if shown else '(empty)'} | {description} |")
    return "\n".join(lines) + "\n"


def _description(annotated: Any) -> str:
    info = msgspec.inspect.type_info(annotated)
    return (info.extra_json_schema or {}).get("description", "") if isinstance(info, msgspec.inspect.Metadata) else ""
