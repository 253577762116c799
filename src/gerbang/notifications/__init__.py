"""Notifications to merchants: written in the transaction that moves the money, delivered afterwards, every attempt recorded."""
