"""A policy that somebody else's server runs, behind the same door as one in this process.

It fails closed: an answer that is late, repeated, of another question or of another checkpoint,
or no chunk of the agreed shape, is an error with its cause, and never a chunk.
"""

import secrets
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import AdpError, CheckpointError, ConfigError, ObservationError, PolicyError
from ..policies.conventions import StateLayout
from ..policies.policy import Policy, PolicyInfo, Prediction, StageTimes
from ..types import ActionConvention, FloatArray, Observation
from .clock_offset import ClockOffset
from .links import Answer, Link, LinkError, LoopThread, make_link
from .mapping import OWN, RemoteMapping
from .requests import EPISODE, MARK, PRUNER
from .served import SERVER, pruner_settings
from .wire import OPENPI, WireError, encode_picture

if TYPE_CHECKING:
    from ..adp.pruner import Pruner

REMOTE: Final = "remote"
_STAGES: Final = ("vision", "scoring", "llm", "head")


class RemotePolicy(Policy):
    """Asks a server for chunks.

    Attributes:
        info: What mapping and server say.
    """

    def __init__(
        self, mapping: RemoteMapping, clock: Callable[[], float], link: Link, loop: LoopThread
    ) -> None:
        """Connect.

        Args:
            mapping: What the server wants and gives.
            clock: Monotonic time in [s].
            link: The connection.
            loop: Where it runs.

        Raises:
            CheckpointError: The server can't be reached, or disagrees with the mapping.
        """
        self._clock = clock
        self._link = link
        self._loop = loop
        self._identity = b""
        self._said: Mapping[Any, Any] = {}  # by the server, of itself
        self._end = weakref.finalize(self, _end, link, loop)  # also where nobody closes it
        try:
            metadata = loop.run(self._open(), mapping.connect_deadline)
            self._mapping = agreed(mapping, metadata)
        except AdpError as error:
            self.close()
            raise CheckpointError(f"policy_url {mapping.url}: {error}") from error
        self.info = _info(self._mapping, self._said)
        self._name = secrets.token_hex(4)  # of this client, so that episodes of two differ
        self._episode = self._question = 0
        self._begins = True
        self._last: tuple[bytes, bytes] = b"", b""
        self._offset = ClockOffset()

    @property
    def own(self) -> bool:
        """True when the server is ours, which numbers its answers and prunes as it is told."""
        return self._said.get("server") == SERVER

    def reset(self) -> None:
        """The next question begins an episode."""
        self._episode += 1
        self._begins = True

    def close(self) -> None:
        """End the connection."""
        self._end()

    def predict(self, observation: Observation, pruner: "Pruner | None" = None) -> Prediction:
        """Ask for one chunk.

        Args:
            observation: Pictures, instruction and state.
            pruner: Our own server prunes with its like; others have nothing to prune.

        Raises:
            ObservationError: The observation does not fit the mapping.
            PolicyError: No usable chunk came within the deadline; says why.
        """
        began = self._clock()
        self._question += 1
        message = self._message(observation, pruner)
        encoded = self._clock()
        left = self._mapping.deadline - (encoded - began)
        try:
            answer = self._loop.run(self._ask(message), max(left, 0.001))
            return self._prediction(answer, observation, began, encoded)
        except (LinkError, WireError, PolicyError) as error:
            self._hang_up()
            raise PolicyError(f"{self._mapping.url}: {error}") from error

    def _hang_up(self) -> None:
        """End the connection: whatever is still on its way must not arrive."""
        with suppress(LinkError):  # it ends by itself, and is asked for nothing more
            self._loop.run(self._link.close(), 1.0)
        self._begins = True  # to a server that has forgotten us, an episode begins

    async def _open(self) -> Mapping[Any, Any]:
        """Connect; the server must be the one of the first time."""
        metadata = await self._link.open()
        identity = OPENPI.pack(metadata)
        if self._identity and identity != self._identity:
            now, before = _named(said_by(metadata)), _named(self._said)
            raise LinkError(f"another policy is served now: {now}, it was {before}")
        self._identity, self._said = identity, said_by(metadata)
        return metadata

    async def _ask(self, message: Mapping[str, Any]) -> Answer:
        if not self._link.is_open:
            await self._open()
        return await self._link.ask(message, self._begins)

    def _message(self, observation: Observation, pruner: "Pruner | None") -> dict[str, Any]:
        mapping = self._mapping
        if len(observation.images) != len(mapping.image_keys):
            raise ObservationError(
                f"observation has {len(observation.images)} pictures, the mapping's image_keys "
                f"{len(mapping.image_keys)}"
            )
        pictures = {
            key: encode_picture(mapping.picture(rgb), mapping.encoding)  # type: ignore[arg-type]
            for key, rgb in zip(mapping.image_keys, observation.images, strict=True)
        }
        message: dict[str, Any] = pictures
        if mapping.protocol == "vla-eval":
            message = {"images": pictures}
        message[mapping.instruction_key] = observation.instruction
        if mapping.layout_names:
            if observation.state is None:
                raise ObservationError("the server wants a state, observation has none")
            message[mapping.state_key] = observation.state.astype(mapping.state_type)
        if self.own:
            message[EPISODE] = f"{self._name}-{self._episode}"
            message[MARK] = self._question
            message[PRUNER] = None if pruner is None else pruner_settings(pruner)
        return message

    def _prediction(
        self, answer: Answer, observation: Observation, began: float, encoded: float
    ) -> Prediction:
        mapping, values = self._mapping, answer.values
        if mapping.action_key not in values:
            known = ", ".join(str(name) for name in list(values)[:8])
            raise PolicyError(f"the answer has no {mapping.action_key}; there is {known[:160]}")
        actions = mapping.actions(values[mapping.action_key])
        about: Mapping[str, Any] = values.get("adp", {}) if self.own else {}
        self._refuse_stale(about, actions, observation)
        self._begins = False
        ended = self._clock()
        notes = self._times(values, about, answer)
        notes |= {"encode_ms": 1e3 * (encoded - began), "decode_ms": 1e3 * (ended - answer.came)}
        seconds = about.get("seconds", {})
        stages = {name: float(seconds.get(name, 0.0)) for name in _STAGES}
        if not about:
            stages["llm"] = 1e-3 * notes["server_ms"]
        total = ended - began
        timing = StageTimes(preprocess=total - sum(stages.values()), total=total, **stages)
        plain = Prediction(
            actions=actions,
            normalized_actions=actions.astype(np.float32),
            kept=None,
            scores=None,
            sequence_lengths=(0, 0),
            timing=timing,
            views=len(mapping.image_keys),
            vision_tokens=0,
            notes=notes,
        )
        return _with_audit(plain, about) if about else plain

    def _refuse_stale(
        self, about: Mapping[str, Any], actions: FloatArray, observation: Observation
    ) -> None:
        """Refuse an answer to another question, or by another policy."""
        if self.own:
            if about.get("request") != self._question:
                raise PolicyError(
                    f"answer {str(about.get('request'))[:20]} came to question {self._question}: "
                    "stale or reordered"
                )
            if about.get("checkpoint") != self._said.get("checkpoint"):
                raise PolicyError("the answer is another checkpoint's")
            return
        pictures, chunk = b"".join(map(np.ndarray.tobytes, observation.images)), actions.tobytes()
        repeated = chunk == self._last[1] and pictures != self._last[0]
        if repeated and self._mapping.repeats == "refuse":
            raise PolicyError("the chunk is the one before, to another picture: repeated")
        self._last = pictures, chunk

    def _times(
        self, values: Mapping[Any, Any], about: Mapping[str, Any], answer: Answer
    ) -> dict[str, float]:
        """Return where the time went, in [ms]; the server's clock is compared with ours."""
        timing = values.get("server_timing")
        infer = timing.get("infer_ms", 0.0) if isinstance(timing, Mapping) else 0.0
        round_trip = 1e3 * (answer.came - answer.sent)
        server = float(infer) if isinstance(infer, int | float) else 0.0
        notes = {"round_trip_ms": round_trip, "server_ms": server}
        if about:
            came, left = float(about["received"]), float(about["sent"])
            self._offset.add(answer.sent, came, left, answer.came)
            offset = self._offset.seconds
            notes |= {
                "server_ms": 1e3 * (left - came),
                "there_ms": 1e3 * (came - offset - answer.sent),
                "back_ms": 1e3 * (answer.came - (left - offset)),
                "clock_offset_s": offset,
            }
        return notes


def _end(link: Link, loop: LoopThread) -> None:
    try:
        loop.run(link.close(), 1.0)
    finally:
        loop.close()


def connect(mapping: RemoteMapping, clock: Callable[[], float], token: str) -> RemotePolicy:
    """Connect to a server.

    Args:
        mapping: With its address.
        clock: Monotonic time in [s].
        token: What the server wants to hear; empty for none.

    Raises:
        CheckpointError: The server can't be reached, or disagrees with the mapping.
    """
    return RemotePolicy(mapping, clock, make_link(mapping, token), LoopThread())


def agreed(mapping: RemoteMapping, metadata: Mapping[Any, Any]) -> RemoteMapping:
    """Complete a mapping by what the server says of itself, and refuse where they disagree.

    Raises:
        ConfigError: They disagree, or something is said by neither.
    """
    for name, wanted in mapping.metadata.items():
        found: Any = metadata
        for part in str(name).split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if found != wanted:
            raise ConfigError(f"{name} is {str(found)[:80]!r}, the mapping says {wanted!r}")
    said = said_by(metadata)
    return _agreed_with_own(mapping, said) if said.get("server") == SERVER else _complete(mapping)


def said_by(metadata: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return what a server says of itself; ours says it within vla-eval's hello."""
    inner = metadata.get(SERVER)
    return inner if isinstance(inner, Mapping) else metadata


def _complete(mapping: RemoteMapping) -> RemoteMapping:
    """Refuse what only our own server would have said."""
    if mapping.encoding != "raw" and mapping.protocol == "openpi":
        raise ConfigError(f"encoding is {mapping.encoding!r}, openpi's servers read raw only")
    unsaid = {
        "chunk_length": mapping.chunk_length == 0,
        "state": mapping.layout_names == (OWN,),
        "rotation": mapping.convention is None,
    }
    for name, is_unsaid in unsaid.items():
        if is_unsaid:
            raise ConfigError(f"{name} is neither in the mapping nor said by the server")
    return mapping


def _agreed_with_own(mapping: RemoteMapping, said: Mapping[str, Any]) -> RemoteMapping:
    """Compare with our own server, which says all of it."""
    state, frames = tuple(said["state"]), dict(said["convention"])
    convention = ActionConvention(**frames)
    names = mapping.layout_names
    for name, ours, theirs in (
        ("chunk_length", mapping.chunk_length or said["chunk_length"], said["chunk_length"]),
        ("state", state if names == (OWN,) else names, state),
        ("convention", mapping.convention or convention, convention),
        ("views", len(mapping.image_keys), said["views"]),
        ("actions", "metres", said["actions"]),
    ):
        if ours != theirs:
            raise ConfigError(f"{name} is {ours!r} in the mapping, the server says {theirs!r}")
    key = mapping.state_key if state else ""
    return replace(
        mapping, chunk_length=int(said["chunk_length"]), state=state, state_key=key, **frames
    )


def _info(mapping: RemoteMapping, said: Mapping[Any, Any]) -> PolicyInfo:
    names = mapping.layout_names
    return PolicyInfo(
        kind=REMOTE,
        chunk_length=mapping.chunk_length,
        views=len(mapping.image_keys),
        state_size=len(names) or None,
        convention=mapping.convention,
        layout=StateLayout(names) if names else None,
        layers=int(said.get("layers", 0)),
        crop_area=float(said.get("crop_area", mapping.crop)),
        details={
            "url": mapping.url,
            "protocol": mapping.protocol,
            "encoding": mapping.encoding,
            "served": _named(said),
            **({"simulation": "yes"} if said.get("simulation") else {}),
        },
    )


def _named(metadata: Mapping[Any, Any]) -> str:
    for name in ("checkpoint", "model_server", "policy", "config"):
        if isinstance(metadata.get(name), str):
            return str(metadata[name])
    return "a policy without a name"


def _with_audit(plain: Prediction, about: Mapping[str, Any]) -> Prediction:
    """Add what our own server says of tokens and cost."""
    try:
        kept, scores = about["kept_indices"], about["scores"]
        first, last = about["sequence_length"]
        return replace(
            plain,
            normalized_actions=np.asarray(about["normalized_actions"], np.float32),
            kept=np.array(kept, np.int64) if about["pruned"] else None,
            scores=None if scores is None else np.asarray(scores, np.float32),
            sequence_lengths=(int(first), int(last)),
            views=int(about["views"]),
            vision_tokens=int(about["tokens_total"]),
            flops=float(about["flops"]),
            flops_full=float(about["flops_full"]),
            merge_grid=int(about["merge_grid"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"the answer says nothing usable of its tokens: {error!r}") from error
