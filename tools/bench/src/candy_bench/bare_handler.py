"""The minimum that a web server can do with a task: parse the JSON, answer 202 with a small JSON. Run as a program."""

from __future__ import annotations

import sys

import orjson
import uvloop
from aiohttp import web


async def take(request: web.Request) -> web.Response:
    """POST /api/v1/task."""
    task = orjson.loads(await request.read())
    answer = orjson.dumps({"task_id": task["task_id"], "status": "pending"})
    return web.Response(status=202, body=answer, content_type="application/json")


async def health(_: web.Request) -> web.Response:
    """GET /health, to know when it listens."""
    return web.Response(text="ok")


def main() -> None:
    """Serve on 127.0.0.1 and the port that is the only argument."""
    application = web.Application()
    application.router.add_post("/api/v1/task", take)
    application.router.add_get("/health", health)
    web.run_app(
        application,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
