"""Every setting has one name, a bad value is told by that name, and production does not start unsafe."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gerbang.settings import ENV_PREFIX, SANDBOX_ENCRYPTION_KEY, BadSettings, Settings, as_markdown, load_settings

NAMES = Settings.__struct_fields__

# A value of each setting other than its default: as TOML writes it, as the environment does, and as it is read.
OTHER: dict[str, tuple[str, str, Any]] = {
    "mode": ('"production"', "production", "production"),
    "data": ('"other.db"', "other.db", "other.db"),
    "host": ('"0.0.0.0"', "0.0.0.0", "0.0.0.0"),
    "public_url": ('"https://pay.example.id"', "https://pay.example.id", "https://pay.example.id"),
    "encryption_key": ('"' + "k" * 40 + '"', "k" * 40, "k" * 40),
    "ewallet_default_success_url": ('"https://x.example"', "https://x.example", "https://x.example"),
    "notification_retry_delays_s": ("[1, 2, 3]", "1, 2,3", (1, 2, 3)),
    "log_level": ('"debug"', "debug", "debug"),
    "vault_key": ('"' + "v" * 40 + '"', "v" * 40, "v" * 40),
    "vault_key_file": ('"vault.key"', "vault.key", "vault.key"),
    "card_provider": ('"bank.cards:make"', "bank.cards:make", "bank.cards:make"),
    "providers": (
        '["EMONEY_LINKAJA=bank.linkaja:make"]',
        "EMONEY_LINKAJA=bank.linkaja:make",
        ("EMONEY_LINKAJA=bank.linkaja:make",),
    ),
    "allowed_hosts": ('["gerbang", "pay.lan"]', "gerbang, pay.lan", ("gerbang", "pay.lan")),
    "fixed_otp": ('"654321"', "654321", "654321"),
    "messages_provider": ('"bank.sms:make"', "bank.sms:make", "bank.sms:make"),
    "bank_provider": ('"bank.transfers:make"', "bank.transfers:make", "bank.transfers:make"),
}


def other(name: str) -> tuple[str, str, Any]:
    """A value of a setting that is not its default."""
    if name in OTHER:
        return OTHER[name]
    default = getattr(Settings(), name)
    match default:
        case bool():
            return str(not default).lower(), str(not default).lower(), not default
        case int():
            return str(default + 1), str(default + 1), default + 1
        case float():
            return str(default + 0.5), str(default + 0.5), default + 0.5
    raise AssertionError(f"tell this test another value of {name}")


# What production wants besides, so that `mode` can be tried as every other setting.
SAFE = {"encryption_key": "k" * 40, "public_url": "https://pay.example.id"}


def rest(name: str) -> dict[str, str]:
    return {key: value for key, value in SAFE.items() if key != name}


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_can_be_given_in_toml(name: str, tmp_path: Path) -> None:
    in_toml, _, read = other(name)
    config = tmp_path / "gerbang.toml"
    config.write_text("".join(f'{key} = "{value}"\n' for key, value in rest(name).items()) + f"{name} = {in_toml}\n")

    assert getattr(load_settings(config=config, env={}), name) == read
    assert getattr(load_settings(env={"GERBANG_CONFIG": str(config)}), name) == read


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_can_be_given_by_the_environment_variable_of_its_name(name: str) -> None:
    _, in_env, read = other(name)
    environment = {ENV_PREFIX + key.upper(): value for key, value in rest(name).items()} | {ENV_PREFIX + name.upper(): in_env}

    assert getattr(load_settings(env=environment), name) == read


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_value_is_told_by_the_settings_name(name: str, tmp_path: Path) -> None:
    config = tmp_path / "gerbang.toml"
    config.write_text(f"{name} = {{ not = 'a value' }}\n")

    with pytest.raises(BadSettings, match=rf"\b{name}\b"):
        load_settings(config=config, env={})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mode", "prod"),
        ("data", ""),
        ("port", "http"),
        ("port", ""),
        ("port", "-1"),
        ("port", "65536"),
        ("port", "80.5"),
        ("public_url", "pay.example.id"),
        ("public_url", "https://"),
        ("public_url", "ftp://pay.example.id"),
        ("public_url", "https://pay.example.id:port"),
        ("public_url", "https://pay.example.id/?a=b"),
        ("strict_request_id", "perhaps"),
        ("notification_timeout_s", "0"),
        ("notification_timeout_s", "nan"),
        ("notification_timeout_s", "inf"),
        ("notification_retry_delays_s", "1,soon"),
        ("notification_retry_delays_s", "-1"),
        ("wallet_basic_balance_limit", "-1"),
        ("wallet_basic_balance_limit", "2.000.000"),
        ("poll_interval_s", "0"),
        ("database_connections", "0"),
        ("log_level", "loud"),
        ("providers", "EMONEY_LINKAJA"),
        ("providers", "EMONEY_LINKAJA=bank.linkaja"),
        ("request_id_retention_s", "59"),
    ],
)
def test_a_bad_environment_variable_is_told_by_the_settings_name(name: str, value: str) -> None:
    with pytest.raises(BadSettings, match=rf"\b{name}\b"):
        load_settings(env={ENV_PREFIX + name.upper(): value})


def test_a_number_that_no_date_and_no_column_could_hold_is_refused() -> None:
    for name, value in (
        ("payment_expiry_min", 10**12), ("card_capture_window_h", 10**9), ("request_id_retention_s", 10**12), ("card_answer_timeout_s", "inf"),
        ("card_answer_timeout_s", "nan"), ("notification_retry_delays_s", [60, 10**30]), ("wallet_transfer_fee", 10**30),
    ):  # fmt: skip
        with pytest.raises(BadSettings, match=name):
            load_settings(env={}, given={name: value})


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    config = tmp_path / "gerbang.toml"
    config.write_text("port = 1001\nhost = '10.0.0.1'\ndata = 'file.db'\n")
    environment = {"GERBANG_HOST": "10.0.0.2", "GERBANG_DATA": "env.db"}

    settings = load_settings(config=config, env=environment, given={"data": "given.db", "port": None})

    assert (settings.port, settings.host, settings.data) == (1001, "10.0.0.2", "given.db")


def test_a_misspelt_setting_is_refused_by_its_name(tmp_path: Path) -> None:
    config = tmp_path / "gerbang.toml"
    config.write_text("strict_requestid = true\n")

    with pytest.raises(BadSettings, match="unknown setting 'strict_requestid'"):
        load_settings(config=config, env={})


@pytest.mark.parametrize("content", [b"port = = 1", b"\xff\xfe", None])
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    config = tmp_path / "gerbang.toml"
    if content is not None:
        config.write_bytes(content)

    with pytest.raises(BadSettings, match=r"cannot read the settings file .*gerbang\.toml"):
        load_settings(config=config, env={})


PRODUCTION = {"mode": "production", "data": "postgresql://localhost/gerbang", **SAFE}


def test_production_starts_with_a_key_and_an_address() -> None:
    assert not load_settings(env={}, given=PRODUCTION).is_sandbox


@pytest.mark.parametrize(
    ("unsafe", "named"),
    [
        ({"encryption_key": None}, "encryption_key"),
        ({"encryption_key": "k" * 31}, "encryption_key"),
        ({"encryption_key": SANDBOX_ENCRYPTION_KEY}, "encryption_key"),
        ({"public_url": None}, "public_url"),
        ({"public_url": "http://pay.example.id"}, "public_url"),
        ({"public_url": "https://"}, "public_url"),
        ({"public_url": "https://example.id/pay"}, "public_url"),  # pages and their files live at the root
        ({"data": ":memory:"}, "data"),
        ({"request_timestamp_window_s": 0}, "request_timestamp_window_s"),
        ({"request_id_retention_s": 7_199}, "request_id_retention_s"),
    ],
)
def test_production_refuses_to_start_unsafe_and_says_what_is_missing(unsafe: dict[str, str | None], named: str) -> None:
    with pytest.raises(BadSettings, match=named):
        load_settings(env={}, given={**PRODUCTION, **unsafe})


def test_a_complaint_does_not_show_the_key() -> None:
    with pytest.raises(BadSettings) as bad:
        load_settings(env={}, given={**PRODUCTION, "encryption_key": "short-secret"})

    assert "short-secret" not in str(bad.value)


def test_keys_of_different_purposes_and_installations_are_unrelated() -> None:
    mine, yours = load_settings(env={}, given=PRODUCTION), load_settings(env={}, given={**PRODUCTION, "encryption_key": "z" * 32})

    keys = [settings.key(purpose) for settings in (mine, yours, Settings()) for purpose in ("pin", "page session")]

    assert len(set(keys)) == 6
    assert {len(key) for key in keys} == {32}
    assert mine.key("pin") == load_settings(env={}, given=PRODUCTION).key("pin")


def test_the_settings_page_lists_every_setting_with_words() -> None:
    rows = {line.split("|")[1].strip(" `"): line for line in as_markdown().splitlines() if line.startswith("| `")}

    assert list(rows) == list(NAMES)
    for name, row in rows.items():
        assert f"`{ENV_PREFIX}{name.upper()}`" in row
        assert len(row.split("|")[4].strip()) > 10, f"{name} needs a description"


def test_settings_cannot_be_changed_while_running() -> None:
    with pytest.raises(AttributeError):
        load_settings(env={}).port = 1  # type: ignore[misc]
    assert issubclass(Settings, msgspec.Struct)
