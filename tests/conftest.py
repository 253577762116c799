"""Fixtures that only tests/ needs. What the rooms' own tests need too goes into support/fixtures.py, which says why."""
