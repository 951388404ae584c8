"""What is said in each protocol, from the first message to the last."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import time
from typing import TYPE_CHECKING, Any, Final

from .. import __version__
from ..errors import AdpError, ObservationError
from .clients import Client, ClientGone
from .requests import act_request, openpi_request, vla_eval_request, vla_eval_state
from .serve_settings import ServeSettings
from .served import SERVER, Served
from .session import Request, Session
from .specs import vla_eval_specs
from .wire import OPENPI, VLA_EVAL, WireError, json_pack, json_unpack

if TYPE_CHECKING:
    from ..types import FloatArray

VLA_EVAL_VERSION: Final = 1

Compute = Callable[[Session, Request], Awaitable[dict[str, Any]]]
"""Answers a request in the thread that computes."""
Refused = Callable[[str, AdpError], str]
"""(client, what is wrong) -> one line for the client."""


@dataclass(frozen=True, slots=True)
class Conversations:
    """How the server talks to its clients.

    Attributes:
        served: What is served.
        settings: Names in openpi's messages.
        compute: Answers a request.
        refused: Notes a request that can't be answered.
    """

    served: Served
    settings: ServeSettings
    compute: Compute
    refused: Refused

    @property
    def views(self) -> int:
        """Pictures that the policy takes."""
        return self.served.setup.policy.info.views or 1

    async def openpi(self, client: Client, session: Session) -> None:
        """Say what is served, then answer observations; an error is a line of text.

        Raises:
            WireError: What came can't be read: the client is hung up on.
            ClientGone: It closed, or is too slow.
        """
        await client.send(OPENPI.pack(self.served.metadata()))
        while (data := await client.receive()) is not None:
            try:
                message = OPENPI.unpack(data)
                keys = self.settings.image_keys, self.settings.state_key
                request = openpi_request(message, *keys, self.views)
                await client.send(OPENPI.pack(await self.compute(session, request)))
            except ClientGone:
                raise
            except WireError as error:
                await client.send_text(str(error))
                raise
            except AdpError as error:
                await client.send_text(self.refused(client.name, error))

    async def vla_eval(self, client: Client, session: Session) -> None:
        """Answer hello and observations; an error is a message of its own.

        Raises:
            WireError: What came can't be read: the client is hung up on.
            ClientGone: It closed, or is too slow.
        """
        steps: list[FloatArray] = []  # of the chunk that is handed out one by one
        while (data := await client.receive()) is not None:
            kind, payload, number = _parts(VLA_EVAL.unpack(data))
            if kind == "episode_start":
                session.begin_episode()
                steps.clear()
            if kind not in ("hello", "observation"):
                continue
            try:
                if kind == "hello":
                    reply = "hello", self._hello(payload)
                else:
                    reply = "action", await self._act_on(client, session, payload, steps)
            except AdpError as error:
                reply = "error", {"error": self.refused(client.name, error)}
            message = {"type": reply[0], "payload": reply[1], "seq": number, "timestamp": time()}
            await client.send(VLA_EVAL.pack(message))

    async def act(self, data: bytes, session: Session) -> bytes:
        """Answer the body of one request as OpenVLA-OFT's server does.

        A message of our own client, which has a number, is answered in full.

        Raises:
            AdpError: It can't be answered.
        """
        message = json_unpack(data)
        double = isinstance(message, dict) and list(message) == ["encoded"]
        if double:
            message = json_unpack(str(message["encoded"]).encode())
        request = act_request(message, self.views)
        answer = await self.compute(session, request)
        body = json_pack(list(answer["actions"]) if request.mark is None else answer)
        return json_pack(body.decode()) if double else body

    def _hello(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        version = payload.get("protocol_version", VLA_EVAL_VERSION)
        if version != VLA_EVAL_VERSION:
            raise ObservationError(
                f"protocol_version is {str(version)[:20]}, allowed: {VLA_EVAL_VERSION}"
            )
        return {
            "harness_version": f"{SERVER} {__version__}",
            "protocol_version": VLA_EVAL_VERSION,
            "model_server": SERVER,
            "capabilities": {},
            **vla_eval_specs(self.served),
            SERVER: self.served.metadata(),
        }

    async def _act_on(
        self,
        client: Client,
        session: Session,
        payload: Mapping[str, Any],
        steps: "list[FloatArray]",
    ) -> dict[str, Any]:
        """Answer an observation: with the next action of the chunk, or with a whole new one."""
        if steps:
            session.saw(vla_eval_state(payload))
            return {"actions": steps.pop(0)}
        answer = await self.compute(session, vla_eval_request(payload, self.views))
        if client.whole:
            return answer
        steps.extend(answer["actions"])
        return {**answer, "actions": steps.pop(0)}


def _parts(message: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], int]:
    """Return type, payload and number of a message of vla-eval's.

    Raises:
        WireError: It is no such message.
    """
    kind, payload, number = (message.get(name) for name in ("type", "payload", "seq"))
    if not isinstance(kind, str) or not isinstance(payload, dict) or not isinstance(number, int):
        raise WireError("message has no type, payload and seq as vla-eval's have")
    return kind, payload, number
