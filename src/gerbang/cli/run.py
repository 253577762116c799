"""serve, demo and worker: the commands that stay."""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import click

from gerbang.cli.options import C, json_option, reads_settings, settings_from_options
from gerbang.cli.show import print_json_line
from gerbang.cli.trouble import Failure
from gerbang.serving import bind, calm_garbage_collection, make_server
from gerbang.settings import Settings

if TYPE_CHECKING:
    import uvicorn

    from gerbang.app import Gateway


def _listens(command: C) -> C:
    host = click.option("--host", metavar="ADDRESS", help="Address to listen on (default: 127.0.0.1, or as the settings say).")
    port = click.option(
        "--port",
        type=click.IntRange(0, 65535),
        help="Port to listen on; 0 takes a free one (default: 8080, or as the settings say).",
    )
    return host(port(command))


@click.command()
@_listens
@json_option
@reads_settings
def serve(host: str | None, port: int | None, as_json: bool) -> None:
    """Start the gateway.

    Serves the DOKU API, the payment pages and, in the sandbox, the control API; does the background work too. Data is
    made when there is none. Ctrl-C stops it.

    With --json it prints one line when it listens: its address, and in the sandbox the demo merchant's keys.
    """
    _serve(settings_from_options(host=host, port=port), demo=False, as_json=as_json)


@click.command()
@_listens
@json_option
@reads_settings
def demo(host: str | None, port: int | None, as_json: bool) -> None:
    """Start the gateway with a demo shop to try it in a browser.

    Buy something in the shop, pay on the payment page, and look at what the shop received.
    """
    settings = settings_from_options(host=host, port=port)
    if not settings.is_sandbox:
        raise Failure("the demo shop is for the sandbox, and the settings say mode = production; use `gerbang serve`")
    _serve(settings, demo=True, as_json=as_json)


@click.command()
@reads_settings
def worker() -> None:
    """Do the background work alone: expiry and notifications.

    For installations with several servers, or to deliver while none runs. Any number may work on the same data.
    """
    from gerbang.cli.data import refuse_absent, refuse_memory

    settings = settings_from_options()
    refuse_memory(settings)
    refuse_absent(settings)
    _set_up_logging(settings)
    gateway = _gateway(settings)
    try:
        _run_until_stopped(_work(gateway))
    finally:
        gateway.close()
    click.echo("Stopped.")


async def _work(gateway: "Gateway") -> None:
    from gerbang.cli.data import shown_address

    loop = asyncio.get_running_loop()
    working = asyncio.create_task(gateway.worker.run())
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, working.cancel)
    click.echo(f"Working on {shown_address(gateway.settings.data)}. Ctrl-C stops.")
    with contextlib.suppress(asyncio.CancelledError):
        await working


def _serve(settings: Settings, *, demo: bool, as_json: bool) -> None:
    _set_up_logging(settings)
    listening = _bound(settings)
    url = settings.public_url.rstrip("/") or local_url(settings.host, listening.getsockname()[1])
    _warn_when_open(settings)
    gateway = _gateway(settings, demo_base_url=url if demo else None)
    server = make_server(gateway.asgi, settings)

    def stop(_signal: int, _frame: object) -> None:
        # uvicorn raises again what it was stopped with; this makes a clean end of it.
        server.should_exit = True

    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, stop)

    def announce() -> None:
        from gerbang.cli.banner import banner, listening_record

        if as_json:
            print_json_line(listening_record(gateway, url, port=listening.getsockname()[1], demo=demo))
        else:
            click.echo(banner(gateway, url, demo=demo))
        sys.stdout.flush()

    try:
        _run_until_stopped(_run_server(server, listening, announce))
    finally:
        gateway.close()
        listening.close()
    if not server.started:
        raise Failure("the server did not start; what is above says why")
    if not as_json:
        click.echo("Stopped.")


def _gateway(settings: Settings, *, demo_base_url: str | None = None) -> "Gateway":
    from gerbang.app import Gateway
    from gerbang.cli.data import explains_opening

    with explains_opening(settings):
        return Gateway(settings, demo_base_url=demo_base_url)


async def _run_server(server: "uvicorn.Server", listening: socket.socket, announce: Callable[[], None]) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.002)
    if server.started and not server.should_exit:
        announce()
        # A little later, when what the first page and the first notification need has been loaded too.
        asyncio.get_running_loop().call_later(2, calm_garbage_collection)
    await serving


def _run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # Windows
        asyncio.run(work)
    else:
        uvloop.run(work)


def _set_up_logging(settings: Settings) -> None:
    logging.basicConfig(
        stream=sys.stderr,
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    # Debugging is about this program; asyncio's own chatter stays out.
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def local_url(host: str, port: int) -> str:
    """The address for somebody on this machine."""
    name = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host == "localhost" or host == "::1" or host.startswith("127.")


def _warn_when_open(settings: Settings) -> None:
    if settings.is_sandbox and not is_loopback(settings.host):
        click.secho(
            f"Warning: the sandbox's control API asks for no password, and on {settings.host} everyone who reaches this machine"
            " can use it. Leave --host away to stay on this machine.",
            fg="yellow",
            err=True,
        )


def _bound(settings: Settings) -> socket.socket:
    host, port = settings.host, settings.port
    try:
        return bind(host, port)
    except socket.gaierror:
        raise Failure(f"{host} is no address of this machine; leave --host away, or use 127.0.0.1 or 0.0.0.0") from None
    except PermissionError:
        raise Failure(f"not allowed to listen on port {port} (below 1024 needs privileges); try --port 8080") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Failure(
                f"port {port} is taken, {_who_holds(host, port)}; stop that one, or choose another with --port {_free_port(host, port)}"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise Failure(f"{host} is no address of this machine; leave --host away, or use 127.0.0.1 or 0.0.0.0") from None
        raise Failure(f"cannot listen on {host} port {port}: {error.strerror}") from None


def _who_holds(host: str, port: int) -> str:
    """A guess: ask whoever listens there whether it is one of us."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1" if host in ("", "0.0.0.0") else host, port, timeout=0.5)  # noqa: S104
    try:
        connection.request("GET", "/healthz")
        if connection.getresponse().read(64) == b'{"status":"ok"}':
            return "probably by another Gerbang that is still running"
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    return f"by another program (`lsof -nP -iTCP:{port} -sTCP:LISTEN` says which)"


def _free_port(host: str, taken: int) -> int:
    for port in range(taken + 1, min(taken + 50, 65_536)):
        with contextlib.suppress(OSError):
            bind(host, port).close()
            return port
    return 0
