"""The sandbox's wallet accounts: one with plenty, one short of money, one locked. Their PIN is public on purpose."""

from dataclasses import dataclass

from gerbang.wallet.accounts import AccountStatus, Level

DEMO_PIN = "246810"


@dataclass(frozen=True, slots=True)
class Demo:
    """One demo account. `note` is a key of the pages' vocabulary."""

    key: str
    account_id: str
    name: str
    note: str
    phone: str
    email: str
    level: Level
    balance: int
    status: AccountStatus = AccountStatus.ACTIVE


DEMO_ACCOUNTS = (
    Demo("siti", "1140340010", "Siti Rahmawati", "rich", "081234567890", "siti@example.com", Level.PREMIUM, 15_000_000),
    Demo("budi", "1140340011", "Budi Santoso", "tight", "081234567891", "budi@example.com", Level.BASIC, 45_000),
    Demo(
        "tono",
        "1140340012",
        "Tono Wijaya",
        "locked",
        "081234567892",
        "tono@example.com",
        Level.BASIC,
        500_000,
        AccountStatus.LOCKED,
    ),
)

# Pays what the control API says is paid; its money is made for each payment, so that tests of any amount pass.
PLAYER = Demo("player", "1000000001", "Pembeli Simulasi", "rich", "081200000001", "player@example.com", Level.PREMIUM, 0)
