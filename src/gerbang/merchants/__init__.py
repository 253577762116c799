"""Merchants: who may call the API, with which keys, and where they are notified."""

from gerbang.merchants.directory import MerchantDirectory
from gerbang.merchants.records import Merchant, MerchantOptions, create, find, get, list_all, update

__all__ = ["Merchant", "MerchantDirectory", "MerchantOptions", "create", "find", "get", "list_all", "update"]
