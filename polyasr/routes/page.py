"""The dictation page and its parts, out of the package: nothing comes from another host."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from quart import Blueprint, Response, request
from werkzeug.exceptions import NotFound

ROOT = Path(__file__).parents[1] / "web"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    # A key may stand in the page's address.
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the page."""

    content: bytes
    media_type: str
    etag: str


class Page:
    """The files, read once: some 50 kB."""

    def __init__(self) -> None:
        self._parts = {
            file.relative_to(ROOT).as_posix(): _read(file)
            for folder in (ROOT, ROOT / "client")
            for file in sorted(folder.iterdir())
            if file.suffix in TYPES
        }

    async def show(self, name: str = "index.html") -> Response:
        """The answer that brings a file. Raises NotFound."""
        part = self._parts.get(name)
        if part is None:
            raise NotFound
        response = Response(part.content, content_type=part.media_type, headers=HEADERS)
        response.set_etag(part.etag)
        await response.make_conditional(request)
        return response


def wants_page() -> bool:
    """Whether who asks for ``/`` is a browser; programs take JSON, or do not say."""
    best = request.accept_mimetypes.best_match(["application/json", "text/html"])
    return best == "text/html"


def page_parts(page: Page) -> Blueprint:
    """The blueprint of all but the page itself, which shares its address with the server's name."""
    blueprint = Blueprint("page", __name__)

    @blueprint.get("/web/<path:name>")
    async def show_part(name: str) -> Response:
        return await page.show(name)

    return blueprint


def _read(file: Path) -> Part:
    content = file.read_bytes()
    return Part(content, TYPES[file.suffix], hashlib.sha256(content).hexdigest()[:16])
