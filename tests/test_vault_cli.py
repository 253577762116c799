"""The vault from the command line."""

import base64
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gerbang.cli import main
from gerbang.storage import Database
from gerbang.vault import KeyRing, Vault
from support.vault import KEK, NEW_KEK, OTHER_SHOP, SHOP, VISA, issued, kept, number_of, run


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing(KEK))


def gerbang(address: str, *args: str, **env: str) -> Result:
    clean: dict[str, str | None] = {name: None for name in os.environ if name.startswith("GERBANG_")}
    return CliRunner().invoke(main, ["--data", address, "vault", *args], env={**clean, **env})


def key_file(tmp_path: Path, name: str, kek: bytes) -> str:
    file = tmp_path / name
    file.write_text(base64.b64encode(kek).decode() + "\n")
    file.chmod(0o400)
    return str(file)


def test_status_counts_cards_and_tokens_and_names_the_keys(
    database: Database, data_address: str, vault: Vault, tmp_path: Path
) -> None:
    issued(database, vault, kept(database, vault))
    kept(database, vault, merchant_id=OTHER_SHOP)
    file = key_file(tmp_path, "vault.key", KEK)

    told = gerbang(data_address, "status", "--json", GERBANG_VAULT_KEY_FILE=file)
    people = gerbang(data_address, "status", GERBANG_VAULT_KEY_FILE=file)

    held = json.loads(told.stdout)
    assert {name: held[name] for name in ("cards", "cards_with_date", "tokens", "uses", "rotating", "oldest_key_days")} == {
        "cards": 2,
        "cards_with_date": 1,
        "tokens": 1,
        "uses": 0,
        "rotating": False,
        "oldest_key_days": 0,
    }
    assert [(key["client_id"], key["state"], key["cards"]) for key in held["keys"]] == [
        (SHOP, "ACTIVE", 1),
        (OTHER_SHOP, "ACTIVE", 1),
    ]
    assert people.exit_code == 0
    assert f"{SHOP}" in people.stdout


def test_status_of_an_empty_vault_is_no_trouble(database: Database, data_address: str) -> None:
    told = gerbang(data_address, "status")

    assert told.exit_code == 0, told.output
    assert "No keys yet" in told.stderr


def test_rotate_says_what_it_did_and_fails_when_a_card_does_not_open(
    database: Database, data_address: str, vault: Vault, tmp_path: Path
) -> None:
    kept(database, vault)
    altered = kept(database, vault)
    file = key_file(tmp_path, "vault.key", KEK)

    fine = gerbang(data_address, "rotate", GERBANG_VAULT_KEY_FILE=file)
    run(database, "update vault_card set sealed = :sealed where id = :id", sealed=b"\0" * 44, id=altered.id)
    broken = gerbang(data_address, "rotate", GERBANG_VAULT_KEY_FILE=file)

    assert (fine.exit_code, fine.stdout) == (0, "1 key replaced, 2 cards sealed anew, 1 old key deleted\n")
    assert broken.exit_code == 1
    assert altered.id in broken.stderr


def test_rewrap_moves_the_keys_from_the_old_file_to_the_key_of_the_settings(
    database: Database, data_address: str, vault: Vault, tmp_path: Path
) -> None:
    card = kept(database, vault)
    old, new = key_file(tmp_path, "old.key", KEK), key_file(tmp_path, "new.key", NEW_KEK)

    done = gerbang(data_address, "rewrap", "--old-key-file", old, GERBANG_VAULT_KEY_FILE=new)

    assert done.stdout == "2 keys wrapped with the new vault key\n"
    assert number_of(database, Vault(KeyRing(NEW_KEK)), card) == VISA
    for command in (("status",), ("rotate",)):
        told = gerbang(data_address, *command, GERBANG_VAULT_KEY_FILE=old)
        assert told.exit_code == 2
        assert len(told.stderr.splitlines()) == 1
        assert "gerbang vault rewrap" in told.stderr
