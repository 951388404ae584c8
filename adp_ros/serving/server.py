"""The policy server: openpi's and vla-eval's websockets, OpenVLA-OFT's HTTP, on one port.

aiohttp speaks all of it, bodies of HTTP requests included, in one event loop. One thread computes:
a policy is not to be called from two, and requests are answered in the order in which they came.
"""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from ..errors import AdpError, ConfigError
from .clients import Client, ClientGone
from .conversations import Conversations
from .serve_settings import ACT_PATH, HEALTH_PATHS, OPENPI_PATH, VLA_EVAL_PATH, ServeSettings
from .served import Served
from .session import Request, Session
from .wire import WireError, json_pack

Log = Callable[[Mapping[str, Any]], None]
Talk = Callable[[Client, Session], Awaitable[None]]


@dataclass(slots=True)
class Counts:
    """What the server has done.

    Attributes:
        clients: Websockets that are open.
        windows: Requests answered.
        refused: Requests that could not be answered.
    """

    clients: int = 0
    windows: int = 0
    refused: int = 0


class PolicyServer:
    """Serves one checkpoint.

    Attributes:
        counts: What was done.
    """

    def __init__(
        self, served: Served, settings: ServeSettings, log: Log, say: Callable[[str], None]
    ) -> None:
        """Prepare; :meth:`running` begins.

        Args:
            served: What is served.
            settings: Where, what and how long.
            log: Gets the record of each window.
            say: Gets a line for people.
        """
        self.counts = Counts()
        self._served = served
        self._settings = settings
        self._log = log
        self._say = say
        self._talk = Conversations(served, settings, self._compute, self._refuse)
        self._pool = ThreadPoolExecutor(1, "policy")
        self._silent: dict[asyncio.Protocol, asyncio.TimerHandle] = {}
        self._act_sessions: OrderedDict[str, Session] = OrderedDict()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Listen while the context lasts; gives the port.

        Raises:
            ConfigError: The port is taken, or the address is not this machine's.
        """
        server = web.Server(self._handle, access_log=None)
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            protocol = server()
            limit = self._settings.greeting_limit
            self._silent[protocol] = loop.call_later(limit, self._hang_up, protocol)
            return protocol

        host, port = self._settings.host, self._settings.port
        try:
            listening = await loop.create_server(connection, host, port)
        except OSError as error:
            reason = str(error.strerror or error).lower()
            raise ConfigError(f"host is {host!r}, port is {port}: {reason}") from error
        try:
            yield int(listening.sockets[0].getsockname()[1])
        finally:
            listening.close()
            await server.shutdown(1.0)
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _hang_up(self, connection: RequestHandler) -> None:
        """End a connection that has not asked for anything in time."""
        del self._silent[connection]
        _abort(connection.transport)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if (timer := self._silent.pop(request.protocol, None)) is not None:
            timer.cancel()
        path, name = request.path.rstrip("/"), _name(request)
        if path in HEALTH_PATHS:
            return self._health(request)
        if not self._knows_token(request):
            self._say(f"{name}: token is wrong or missing")
            return _refusal(401, "token is wrong or missing")
        if path == ACT_PATH:
            return await self._act(request, name)
        talks: dict[str, Talk] = {
            OPENPI_PATH: self._talk.openpi,
            VLA_EVAL_PATH: self._talk.vla_eval,
        }
        talk = talks.get(path or f"/{self._settings.protocol}")
        if talk is not None and request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._websocket(request, talk, name)
        there = ", ".join((*talks, ACT_PATH, HEALTH_PATHS[0]))
        return _refusal(404, f"no websocket and no page is at {path[:80]!r}, there is {there}")

    def _knows_token(self, request: web.BaseRequest) -> bool:
        sent = request.headers.get("Authorization", "").rpartition(" ")[2]
        sent = sent or request.query.get("token", "")
        token = self._settings.token
        return not token or hmac.compare_digest(sent.encode(), token.encode())

    def _health(self, request: web.BaseRequest) -> web.StreamResponse:
        values: dict[str, Any] = {"status": "ok"}
        if self._knows_token(request):
            counts = self.counts
            values |= {"clients": counts.clients, "windows": counts.windows}
            values |= {"refused": counts.refused, "policy": self._served.metadata()}
        return web.Response(body=json_pack(values), content_type="application/json")

    async def _websocket(
        self, request: web.BaseRequest, talk: Talk, name: str
    ) -> web.StreamResponse:
        settings, clients = self._settings, self.counts.clients
        if clients >= settings.clients:
            self._say(f"{name}: refused, {clients} clients are connected")
            return _refusal(503, f"{clients} clients are connected, no more are allowed")
        socket = web.WebSocketResponse(
            timeout=1.0, compress=False, max_msg_size=settings.message_bytes
        )
        await socket.prepare(request)
        whole = request.query.get("chunks") == "whole"
        client = Client(socket, settings, name, whole)
        self.counts.clients += 1
        self._say(f"{name}: connected to {request.path}")
        try:
            await self._talk_until_end(client, talk, request.path)
        except ClientGone as error:
            self._say(f"{name}: {error}")
            _abort(request.transport)
        finally:
            self.counts.clients -= 1
        return socket

    async def _talk_until_end(self, client: Client, talk: Talk, path: str) -> None:
        session = Session(self._served, {"client": client.name, "protocol": path}, self._log)
        try:
            await talk(client, session)
        except WireError as error:
            self._refuse(client.name, error)
            await client.close(1008, str(error))
        else:
            await client.close(1000, "")
            self._say(f"{client.name}: closed")

    async def _act(self, request: web.BaseRequest, name: str) -> web.StreamResponse:
        try:
            data = await asyncio.wait_for(self._body(request), self._settings.send_limit)
            body = await self._talk.act(data, self._act_session(request.remote or ""))
        except asyncio.TimeoutError:
            return _refusal(408, f"no request within {self._settings.send_limit:g} s")
        except AdpError as error:
            if isinstance(error, WireError):
                self._act_sessions.pop(request.remote or "", None)
            return _refusal(400, self._refuse(name, error))
        return web.Response(body=body, content_type="application/json")

    async def _body(self, request: web.BaseRequest) -> bytes:
        parts, size = [], 0
        async for part in request.content.iter_chunked(2**16):
            parts.append(part)
            size += len(part)
            if size > self._settings.message_bytes:
                raise WireError(f"message is larger than {self._settings.message_limit:g} MiB")
        return b"".join(parts)

    def _act_session(self, host: str) -> Session:
        """Return the session of a machine: HTTP clients come with a new connection each time."""
        if host not in self._act_sessions:
            names = {"client": host, "protocol": ACT_PATH}
            self._act_sessions[host] = Session(self._served, names, self._log)
        self._act_sessions.move_to_end(host)
        while len(self._act_sessions) > self._settings.clients:
            self._act_sessions.popitem(last=False)
        return self._act_sessions[host]

    async def _compute(self, session: Session, request: Request) -> dict[str, Any]:
        """Let the one thread answer.

        Raises:
            WireError: It took too long; what the session does then is of no use to the client.
            AdpError: The request does not fit, or the policy failed.
        """
        limit, asked = self._settings.answer_limit, time.monotonic()
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(self._pool, session.answer, request, asked)
        try:
            found = await asyncio.wait_for(answer, limit)
        except asyncio.TimeoutError as error:
            raise WireError(f"no answer within {limit:g} s") from error
        self.counts.windows += 1
        return found

    def _refuse(self, client: str, error: AdpError) -> str:
        """Count what can't be answered; return it in one line."""
        line = " ".join(str(error).split())
        self.counts.refused += 1
        self._say(f"{client}: {line}")
        return line


def _name(request: web.BaseRequest) -> str:
    peer = None if request.transport is None else request.transport.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if peer else "a client"


def _refusal(status: int, line: str) -> web.Response:
    return web.json_response({"error": line}, status=status)


def _abort(transport: asyncio.BaseTransport | None) -> None:
    if isinstance(transport, asyncio.Transport):
        transport.abort()
