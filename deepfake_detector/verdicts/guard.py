"""What the page of app.py refuses: requests of other sites, and addresses in place of uploads."""

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse

# The page loads what it needs from this server and from nowhere else; Gradio has scripts and styles
# within the page. Camera and results are blobs.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
    "'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' "
    "data:; worker-src 'self' blob:; connect-src 'self' data: blob:; object-src 'none'; base-uri "
    "'self'; form-action 'self'; frame-ancestors 'none'"
)


def uploads_only(part: Any) -> Any:
    """Return an input that takes files which were uploaded; Gradio would also fetch an address that
    a request names."""
    take = part.async_move_resource_to_block_cache

    async def take_upload(path: str) -> str | None:
        if "://" in str(path):
            raise gr.Error("an address is not fetched; upload the file", print_exception=False)
        return await take(path)

    part.async_move_resource_to_block_cache = take_upload
    return part


class Guard:
    """An ASGI middleware that refuses what pages of other sites ask for.

    Such a page, whose name is made to point to this machine, could read ours (DNS rebinding); so
    only requests to these `hosts` are answered, if there are any.
    """

    def __init__(self, app: Any, hosts: Collection[str]):
        self._app, self._hosts = app, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["Referrer-Policy"] = "no-referrer"
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        application = self._app
        if scope["type"] == "http" and self._is_foreign(Headers(scope=scope), scope["path"]):
            application = PlainTextResponse("This page does not answer that.", status_code=403)
        await application(scope, receive, send_with_policy)

    def _is_foreign(self, headers: Headers, path: str) -> bool:
        host = headers.get("host", "")
        is_other_host = self._hosts and urlsplit(f"//{host}").hostname not in self._hosts
        is_other_site = urlsplit(headers.get("origin", f"//{host}")).netloc != host
        # Gradio would fetch these addresses for anybody.
        return is_other_host or is_other_site or "/file=http" in path or "/proxy=" in path
