"""Who may use the server: the key, and which browser pages when there is none.

Without a key, everything that reaches the port may use it. A browser reaches ports that its page
should not: a page of any site can send requests to 127.0.0.1, and one whose name its owner points
at 127.0.0.1 (DNS rebinding) even reads the answers. So on whatever changes state and on every
WebSocket the page's `Origin` must be the server's own or be listed, and the `Host` must be a name
that no stranger can own. A key makes both checks needless: a page cannot know it.
"""

from __future__ import annotations

import hmac
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from quart import Response, request, websocket
from quart_trio import QuartTrio

from polyasr.errors import PolyasrError, Unauthorized
from polyasr.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110, 9.2.1)."""
OPEN_PATHS = frozenset(
    {
        *("/", "/health", "/ready"),
        *("/docs", "/docs/show.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"),
        "/openapi.json",
    }
)
"""What needs no key: what monitors read, what browsers open before they can send one, and the page
of the API, which knows no secrets."""
PAGE_PARTS = "/web/"
"""The dictation page's files, which hold no secret."""
PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa")
"""Names that public DNS never answers for (RFC 6761, 6762, 8375; ICANN 2024 for `.internal`)."""
DEFAULT_PORTS = {"http": 80, "https": 443}
PREFLIGHT_MAX_AGE_SEC = 600


class ForbiddenOrigin(PolyasrError):
    """A browser page that may not use this server."""

    code = "forbidden_origin"
    status = 403
    close_code = 1008


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The rules as the settings give them. ``origins`` may hold ``*`` for every page."""

    api_key: str
    origins: frozenset[str]
    hosts: frozenset[str]

    def check_key(self, authorization: str, token: str = "") -> None:
        """Let in who knows the key, as a bearer token or, for WebSockets, in the query.

        Raises Unauthorized. The comparison takes the same time wherever the first difference is.
        """
        if not self.api_key:
            return
        scheme, _, bearer = authorization.partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else token
        if not hmac.compare_digest(given.encode(), self.api_key.encode()):
            raise Unauthorized(
                f"the API key is {'wrong' if given else 'missing'}: send it as "
                "`Authorization: Bearer KEY`, or as `?token=KEY` for a WebSocket"
            )

    def check_page(self, origin: str, host: str) -> None:
        """Refuse pages of other origins when no key protects the server.

        ``origin`` and ``host`` are the headers, "" where absent. Raises ForbiddenOrigin.
        """
        if self.api_key or "*" in self.origins:
            return
        if host and not self._is_private(host):
            raise ForbiddenOrigin(
                f"this server does not answer to the name {host!r} without a key: set "
                "POLYASR_API_KEY, or list the page's origin in POLYASR_CORS_ORIGINS"
            )
        if origin and not self.allows_origin(origin) and not _same_origin(origin, host):
            raise ForbiddenOrigin(
                f"a page of {origin!r} may not use this server without a key: set "
                "POLYASR_API_KEY, or list the origin in POLYASR_CORS_ORIGINS"
            )

    def allows_origin(self, origin: str) -> bool:
        """Whether the settings open the server to pages of this origin."""
        return "*" in self.origins or origin.lower().rstrip("/") in self.origins

    def _is_private(self, host: str) -> bool:
        name = _hostname(host)
        if name is None:
            return False
        return (
            name in self.hosts or "." not in name or name.endswith(PRIVATE_SUFFIXES) or _is_ip(name)
        )


def access_rules(settings: Settings) -> AccessRules:
    """The rules of these settings; this machine's own name is one it answers to."""
    origins = frozenset(origin.lower().rstrip("/") for origin in settings.cors_origins)
    named = {_hostname(urlsplit(origin).netloc) for origin in origins}
    named |= {settings.host.lower(), socket.gethostname().lower()}
    return AccessRules(settings.api_key or "", origins, frozenset(filter(None, named)))


def register_access(app: QuartTrio, rules: AccessRules) -> None:
    """Check every request before its route runs, and open listed origins to their pages (CORS).

    A WebSocket's key is checked by its route, which can say `unauthorized` in a message: browsers
    hide the status of a refused upgrade from their pages.
    """

    @app.before_request
    async def check_request() -> None:
        if request.method not in SAFE_METHODS:
            rules.check_page(request.headers.get("Origin", ""), request.headers.get("Host", ""))
        is_open = request.path in OPEN_PATHS or request.path.startswith(PAGE_PARTS)
        if request.method != "OPTIONS" and not is_open:
            rules.check_key(request.headers.get("Authorization", ""))

    @app.before_websocket
    async def check_websocket() -> None:
        rules.check_page(websocket.headers.get("Origin", ""), websocket.headers.get("Host", ""))

    @app.after_request
    async def open_to_listed_origins(response: Response) -> Response:
        origin = request.headers.get("Origin", "")
        if origin and rules.allows_origin(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers.add("Vary", "Origin")
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, POST, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
                response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_MAX_AGE_SEC)
        return response


def _same_origin(origin: str, host: str) -> bool:
    page = urlsplit(origin.lower())
    default = DEFAULT_PORTS.get(page.scheme)
    served = urlsplit(f"//{host.lower()}")
    if default is None or not page.hostname:
        return False
    return page.hostname == served.hostname and _port(page, default) == _port(served, default)


def _port(url: SplitResult, default: int) -> int | None:
    """The port, or None where it is not one."""
    try:
        return url.port or default
    except ValueError:
        return None


def _hostname(netloc: str) -> str | None:
    """The name in ``host:port``, without a root dot; None when there is none to be read."""
    try:
        name = urlsplit(f"//{netloc.lower()}").hostname
    except ValueError:
        return None
    return name.rstrip(".") if name else None


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
