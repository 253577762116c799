"""The server under measurement: the real gateway, plus `POST /floor`.

The floor is the same server with the same verification and signing, but instead of an order, four bare inserts under the same
group commit: what no implementation of a create on this stack can beat.
"""

import sys

import msgspec

from benchmarks import FLOOR_PATH
from gerbang.app import Gateway
from gerbang.endpoint import Endpoint, HttpReply, HttpRequest
from gerbang.ids import new_id
from gerbang.protocols.nonsnap.service import NonSnap, signed_reply
from gerbang.serving import bind, calm_garbage_collection, make_server
from gerbang.settings import load_settings
from gerbang.storage import Tx

_TABLE = "create table if not exists floor_{n} (id text primary key, merchant_id text not null, body text not null, at bigint not null)"


class Floor(NonSnap):
    """Authenticates and signs as the real thing does; in between, four inserts."""

    async def handle(self, endpoint: Endpoint, request: HttpRequest, path_value: str) -> HttpReply:
        merchant = (await self._authenticate(endpoint, request)).merchant
        body = msgspec.json.decode(request.body)
        text = msgspec.json.encode(body).decode()

        def insert(tx: Tx) -> None:
            for n in range(4):
                tx.execute(
                    f"insert into floor_{n} (id, merchant_id, body, at) values (:id, :merchant_id, :body, :at)",
                    {"id": new_id("flr"), "merchant_id": merchant.client_id, "body": text, "at": 1},
                )

        await self._database.transact(insert)
        return signed_reply(request, merchant, 200, msgspec.json.encode({"order": body["order"]["invoice_number"]}))


def main() -> None:
    data, port = sys.argv[1], int(sys.argv[2])
    settings = load_settings(given={"data": data, "port": port, "log_level": "error"})
    gateway = Gateway(settings)
    for n in range(4):
        gateway.database.transact_now(lambda tx, n=n: tx.execute(_TABLE.format(n=n)))
    floor = Floor(gateway.database, gateway.directory, gateway.clock, settings)
    gateway.api.add(
        floor,
        Endpoint(
            method="POST",
            path=FLOOR_PATH,
            summary="",
            action=lambda call, body: {},
            response=msgspec.Struct,
            request=msgspec.Struct,
        ),
    )
    calm_garbage_collection()  # as `gerbang serve` does
    make_server(gateway.asgi, settings).run(sockets=[bind("127.0.0.1", port)])


if __name__ == "__main__":
    main()
