"""The vault: card numbers in, tokens out. It knows keys, cards and tokens, and nothing of payments."""

from gerbang.vault.cards import CardForgotten, StoredCard, Vault
from gerbang.vault.keys import KeyRing, WrongVaultKey
from gerbang.vault.rotation import Rotated, rewrap, rotate, status
from gerbang.vault.sealing import SealBroken, open_sealed, seal
from gerbang.vault.tokens import Token, deactivate, find_token, issue, tokens_of

__all__ = [
    "CardForgotten",
    "KeyRing",
    "Rotated",
    "SealBroken",
    "StoredCard",
    "Token",
    "Vault",
    "WrongVaultKey",
    "deactivate",
    "find_token",
    "issue",
    "open_sealed",
    "rewrap",
    "rotate",
    "seal",
    "status",
    "tokens_of",
]
