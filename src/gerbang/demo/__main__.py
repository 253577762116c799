"""Run the shop on its own, against any gateway: `python -m gerbang.demo --help`."""

import argparse

from gerbang.demo.app import demo_shop


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m gerbang.demo", description="Pasar Pagi, the demo shop.")
    parser.add_argument("--gateway", default="http://127.0.0.1:8080", help="where the API lives (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8090, help="port to listen on (%(default)s)")
    parser.add_argument("--public-url", help="where buyers and the gateway reach this shop (http://HOST:PORT)")
    parser.add_argument("--client-id", required=True)
    parser.add_argument("--secret-key", required=True)
    chosen = parser.parse_args()

    import uvicorn  # here, so that --help does not wait for it

    shop = demo_shop(
        gateway_url=chosen.gateway,
        public_url=chosen.public_url or f"http://{chosen.host}:{chosen.port}",
        client_id=chosen.client_id,
        secret_key=chosen.secret_key,
    )
    uvicorn.run(shop, host=chosen.host, port=chosen.port)


if __name__ == "__main__":
    main()
