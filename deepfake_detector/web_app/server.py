"""What the web server of app.py does besides Gradio: files to take away, and who may ask for what.

    add_downloads(server, desk)
    uvicorn.Config(SafeHeaders(server, hosts={"127.0.0.1"}))

A result is found by the token of its session and by a number. No part of a request becomes a path.
"""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import fastapi
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.datastructures import MutableHeaders

from deepfake_detector.web_app.desk import Desk
from deepfake_detector.web_app.sessions import Result, Session

# The page loads what it needs from this server and from nowhere else; Gradio has scripts and styles
# within the page. Camera and results are blobs.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' data: blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class SafeHeaders:
    """An ASGI application with these headers on every answer, for requests to these hosts only.

    A page of somebody else, whose name is made to point to this machine, could otherwise read ours
    (DNS rebinding). No `hosts` are all.
    """

    def __init__(self, application: Any, hosts: Collection[str] = ()):
        self._application, self._hosts = application, hosts

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] != "lifespan" and self._hosts and _host_of(scope) not in self._hosts:
            refusal = PlainTextResponse("This page is for this machine only.", status_code=403)
            await refusal(scope, receive, send)
            return
        await self._application(scope, receive, send_with_headers)


def add_downloads(server: fastapi.FastAPI, desk: Desk) -> None:
    """Add the addresses of what visitors take away."""

    @server.get("/results/{token}/scores.{kind}")
    def tables(token: str, kind: str) -> Response:
        session = _session(desk, token)
        if kind == "csv":
            return _attachment(desk.csv(session), "scores.csv", "text/csv")
        if kind == "json":
            return _attachment(desk.json(session), "scores.json", "application/json")
        raise fastapi.HTTPException(404)

    @server.get("/results/{token}/{number}/page")
    def page(token: str, number: int) -> Response:
        session = _session(desk, token)
        result = _result(session, number)
        return _attachment(desk.page_of(session, result), f"{result.name}.html", "text/html")

    @server.get("/results/{token}/{number}/copy")
    def copy(token: str, number: int) -> Response:
        result = _result(_session(desk, token), number)
        if result.copy is None or not result.copy.is_file():
            raise fastapi.HTTPException(404)
        name = f"{Path(result.name).stem}_{result.copy.name}"
        return FileResponse(result.copy, filename=name, content_disposition_type="inline")


def _session(desk: Desk, token: str) -> Session:
    session = desk.sessions.by_token(token)
    if session is None:
        raise fastapi.HTTPException(404, "This session has ended, and its results are deleted.")
    return session


def _result(session: Session, number: int) -> Result:
    result = session.result(number)
    if result is None:
        raise fastapi.HTTPException(404, "There is no such result.")
    return result


def _attachment(text: str, name: str, media_type: str) -> Response:
    plain_name = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)
    return Response(
        text.encode("utf-8", "replace"),
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{plain_name}"'},
    )


def _host_of(scope: Any) -> str:
    headers = dict(scope.get("headers") or [])
    host = headers.get(b"host", b"").decode("latin-1")
    return host.rsplit(":", 1)[0] if re.search(r":\d+$", host) else host
