"""``python -m candy_server``: run the stand-in until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib

import click

from candy_server.server import CandyServer


@click.command()
@click.option("--listen", default="127.0.0.1:8889", show_default=True, help="host:port")
@click.option("--key", envvar="CANDY_SERVER_API_KEY", default="", help="The X-API-Key that agents must send.")
@click.option(
    "--secret", envvar="CANDY_CALLBACK_SECRET", default="", help="The secret that signs callbacks; the key by default."
)
@click.option("--agent-key", envvar="CANDY_API_KEY", default="", help="The API key of agents whose heartbeat has none.")
def main(listen: str, key: str, secret: str, agent_key: str) -> None:
    """Run a stand-in for Candy-Server: receive heartbeats and callbacks, send tasks. For development."""
    host, _, port = listen.rpartition(":")
    if not port.isdecimal():
        raise click.BadParameter(f"{listen} is not host:port", param_hint="--listen")
    server = CandyServer(key=key, secret=secret, agent_key=agent_key, host=host or "127.0.0.1", port=int(port))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(server))


async def _serve(server: CandyServer) -> None:
    async with server:
        click.echo(f"listening on {server.url}; received: {server.url}/received/callbacks")
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
