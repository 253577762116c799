"""Gerbang: a payment gateway and e-wallet that speaks the DOKU API."""

__version__ = "0.1.0"
