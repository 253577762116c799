"""Wallet purchases as the books see them: an order, its payment turned paid, and two transfers (the price, the fee). No HTTP, no PIN.

python -m benchmarks.wallet --data bench.db --callers 16 --accounts 1 --seconds 2
prints one JSON line. `--accounts 1`: all callers debit one customer and credit one merchant, so that every purchase waits for the same two
balance rows; `--accounts 16`: each has its own. `--data` may be a PostgreSQL address.
"""

import argparse
import asyncio
import json
import secrets
import time
from datetime import timedelta

from gerbang.app import Gateway
from gerbang.clock import next_midnight
from gerbang.ids import new_id
from gerbang.ledger import Transfer, account, post
from gerbang.merchants import create
from gerbang.money import Rupiah, basis_points
from gerbang.payments import finish, open_order
from gerbang.payments.taking import payable
from gerbang.settings import load_settings
from gerbang.storage import Tx
from gerbang.wallet import Level, create_account, wallet_ledger_account

AMOUNT = Rupiah(1_000)
ENOUGH = Rupiah(1_000_000_000)


async def measure(data: str, *, callers: int, accounts: int, seconds: float) -> dict[str, float]:
    gateway = Gateway(load_settings(given={"data": data}), background=False)
    database, clock = gateway.database, gateway.clock

    def prepare(tx: Tx) -> list[tuple[str, str]]:
        made = []
        for _ in range(accounts):
            now = clock.now()
            phone = f"62855{secrets.randbelow(10**8):08d}"
            customer = create_account(tx, phone=phone, name="Beban", email=None, level=Level.PREMIUM, pin_hash=None, now=now)
            money = Transfer(account("cash", "sandbox"), wallet_ledger_account(customer.id), ENOUGH, "topup")
            post(tx, [money], cause=new_id("top"), now=now)
            made.append((customer.id, create(tx, name="Toko Beban", now=now).client_id))
            time.sleep(0.002)  # client ids are made of milliseconds
        return made

    pairs = await database.transact(prepare)
    count, until = 0, time.perf_counter() + seconds

    async def buy(number: int) -> None:
        nonlocal count
        customer_id, merchant_id = pairs[number % accounts]
        while time.perf_counter() < until:
            await database.transact(lambda tx: purchase(tx, customer_id, merchant_id))
            count += 1

    def purchase(tx: Tx, customer_id: str, merchant_id: str) -> None:
        now = clock.now()
        _, payment = open_order(
            tx,
            merchant_id=merchant_id,
            invoice_number=secrets.token_hex(10),
            amount=AMOUNT,
            channel="EMONEY_DOKU_SNAP",
            request_id="bench",
            details={},
            expires_at=now + timedelta(minutes=15),
            now=now,
        )
        transfers = [
            Transfer(wallet_ledger_account(customer_id), payable(merchant_id), AMOUNT),
            Transfer(payable(merchant_id), account("fee", payment.channel), basis_points(AMOUNT, 150), "fee"),
        ]
        finish(
            tx, payment, transfers=transfers, payer=customer_id, approval_code="123456", now=now, settles_at=next_midnight(now)
        )

    began = time.perf_counter()
    await asyncio.gather(*(buy(number) for number in range(callers)))
    rate = count / (time.perf_counter() - began)
    gateway.close()
    return {"per_second": rate}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wallet")
    parser.add_argument("--data", required=True)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    args = parser.parse_args()
    print(json.dumps(asyncio.run(measure(args.data, callers=args.callers, accounts=args.accounts, seconds=args.seconds))))


if __name__ == "__main__":
    main()
