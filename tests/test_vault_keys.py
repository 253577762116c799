"""The key-encryption key and the seals: what is sealed opens with the same key and context only."""

import base64
import subprocess
import sys
from pathlib import Path

import pytest

from gerbang.settings import BadSettings, Settings
from gerbang.storage import Database
from gerbang.vault import KeyRing, SealBroken, Vault, WrongVaultKey, open_sealed, seal
from gerbang.vault.keys import kek_from_file, kek_from_text, kek_of
from support.vault import KEK, NEW_KEK, kept, rows


@pytest.fixture
def vault() -> Vault:
    return Vault(KeyRing(KEK))


def test_a_vault_key_is_base64_of_32_bytes_or_a_text_of_32_characters() -> None:
    assert kek_from_text(base64.b64encode(bytes(range(32))).decode() + "\n", "vault_key") == bytes(range(32))
    assert len(kek_from_text("x" * 32, "vault_key")) == 32
    assert kek_from_text("x" * 32, "vault_key") != kek_from_text("x" * 33, "vault_key")


@pytest.mark.parametrize("text", ["", "short", "x" * 31, base64.b64encode(b"only sixteen b..").decode()])
def test_a_vault_key_that_is_too_short_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(BadSettings, match="openssl rand -base64 32") as refused:
        kek_of(Settings(vault_key=text or "-"))

    assert not text or text not in str(refused.value)


def test_a_vault_key_file_is_read_when_only_its_owner_may(tmp_path: Path) -> None:
    file = tmp_path / "vault.key"
    file.write_text("x" * 40 + "\n")
    file.chmod(0o400)

    assert kek_of(Settings(vault_key_file=str(file))) == kek_of(Settings(vault_key="x" * 40))


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o604, 0o620])
def test_a_vault_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "vault.key"
    file.write_text("x" * 40)
    file.chmod(mode)

    with pytest.raises(BadSettings, match="chmod 400"):
        kek_from_file(file)


def test_a_vault_key_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    binary = tmp_path / "binary.key"
    binary.write_bytes(b"\xff" * 32)
    binary.chmod(0o400)

    with pytest.raises(BadSettings, match="cannot read the vault key file"):
        kek_from_file(tmp_path / "absent.key")
    with pytest.raises(BadSettings, match="is no text"):
        kek_from_file(binary)


def test_production_stores_no_card_without_a_vault_key_and_the_sandbox_has_one() -> None:
    assert len(kek_of(Settings())) == 32
    with pytest.raises(BadSettings, match="vault_key or vault_key_file"):
        kek_of(Settings(mode="production", encryption_key="e" * 40))
    with pytest.raises(BadSettings, match="not both"):
        kek_of(Settings(vault_key="x" * 40, vault_key_file="vault.key"))


def test_starting_with_another_vault_key_is_refused_before_anything_is_written(database: Database, vault: Vault) -> None:
    kept(database, vault)
    keys = rows(database, "select * from vault_key order by id")

    with pytest.raises(WrongVaultKey, match="vault_key_file"):
        database.transact_now(Vault(KeyRing(NEW_KEK)).make_ready)

    assert rows(database, "select * from vault_key order by id") == keys


def test_what_is_sealed_opens_with_the_same_key_and_context_only() -> None:
    sealed = seal(KEK, b"839", context=b"charge 1")

    assert open_sealed(KEK, sealed, context=b"charge 1") == b"839"
    for key, context in ((KEK, b"charge 2"), (NEW_KEK, b"charge 1")):
        with pytest.raises(SealBroken):
            open_sealed(key, sealed, context=context)


def test_a_changed_or_cut_byte_anywhere_breaks_the_seal() -> None:
    sealed = seal(KEK, b"839", context=b"c")

    for at in range(len(sealed)):
        with pytest.raises(SealBroken):
            open_sealed(KEK, sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], context=b"c")
        with pytest.raises(SealBroken):
            open_sealed(KEK, sealed[:at], context=b"c")


def test_the_same_secret_never_looks_the_same_twice() -> None:
    assert len({seal(KEK, b"839", context=b"c") for _ in range(50)}) == 50


def test_the_vault_loads_cryptography_only_when_there_is_a_card() -> None:
    code = "import sys; import gerbang.vault, gerbang.cli.vault; print('cryptography' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
