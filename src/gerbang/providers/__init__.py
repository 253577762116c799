"""Somebody outside who takes the buyer's money for us: an e-wallet, a lender, a bank's app, a chain of shops.

Every such channel asks the same few questions (`questions.py`) and hears the same reports. `opening.py` asks, `reports.py` acts on
what is reported, `room.py` runs both, and `channel.py` makes a `Channel` of a room's data. In the sandbox `simulator.py` answers and
`simulator_pages.py` is the buyer's side of it.
"""
