"""GET /docs: the operations on one self-contained page, without a key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from html import escape

from aiohttp import web

from candy_core.web.operation import Operation, ResponseSpec
from candy_core.web.request_context import RequestContext

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#1b1b1f;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;text-transform:capitalize}
table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #d9d9e0;padding:.45rem .6rem;text-align:left;
vertical-align:top}code{font:.9em ui-monospace,monospace}td:first-child{white-space:nowrap}small{color:#55555f}
@media(prefers-color-scheme:dark){body{color:#e6e6ea;background:#17171a}td,th{border-color:#3a3a42}small{color:#a9a9b3}}
@media(max-width:45rem){td:first-child{white-space:normal;overflow-wrap:anywhere}}
"""
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)


def operation(every: Callable[[], Sequence[Operation]]) -> Operation:
    """The operation of the page. ``every`` returns all operations, including this one."""

    @cache
    def text() -> bytes:
        return page(every()).encode()

    async def read(context: RequestContext) -> web.Response:
        return web.Response(
            body=text(),
            content_type="text/html",
            charset="utf-8",
            headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"},
        )

    return Operation(
        method="GET",
        path="/docs",
        handler=read,
        scope=None,
        tag="documentation",
        summary="This API as an HTML page",
        query=None,
        responses={200: ResponseSpec("A static page.", media="text/html")},
    )


def page(operations: Sequence[Operation]) -> str:
    """The page as HTML."""
    html = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Candy Agent: API</title>',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><h1>Candy Agent: API</h1>",
        "<p>Send a key as <code>X-API-Key</code> or <code>Authorization: Bearer</code>. Bodies are JSON; errors are ",
        "<code>application/problem+json</code>. <code>GET /openapi.json</code>, with a key, has every schema.</p>",
    ]
    for tag in dict.fromkeys(one.tag for one in operations):
        html.append(f"<h2>{escape(tag)}</h2><table><tr><th>Call</th><th>What it does</th><th>Scope</th></tr>")
        html += [_row(one) for one in operations if one.tag == tag]
        html.append("</table>")
    html.append("</body></html>")
    return "".join(html)


def _row(one: Operation) -> str:
    more = f"<br><small>{escape(one.description)}</small>" if one.description else ""
    scope = f"<code>{escape(one.scope)}</code>" if one.scope else "none"
    return (
        f"<tr><td><code>{one.method} {escape(one.path)}</code></td>"
        f"<td>{escape(one.summary)}{more}</td><td>{scope}</td></tr>"
    )
