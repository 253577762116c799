"""Pasar Pagi, the demo shop: a merchant's own site, written with `gerbang.client` and nothing else of Gerbang."""

from gerbang.demo.app import demo_shop

__all__ = ["demo_shop"]
