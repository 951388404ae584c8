"""Settings of the policy server."""

from dataclasses import dataclass

from ..errors import ConfigError
from ..settings import check_settings, setting

OPENPI_PATH = "/openpi"
VLA_EVAL_PATH = "/vla-eval"
ACT_PATH = "/act"
HEALTH_PATHS = ("/health", "/healthz")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Where the server listens, what it accepts and how long it waits.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    host: str = setting("127.0.0.1", "Address to listen on; 0.0.0.0 is every network there is.")
    port: int = setting(8000, "TCP port; 0 takes a free one.", low=0, high=65535)
    protocol: str = setting(
        "openpi",
        "What is spoken at ws://HOST:PORT itself; /openpi and /vla-eval are always there.",
        choices=("openpi", "vla-eval"),
    )
    token: str = setting("", "Word that every client must send; empty: none.")
    actions: str = setting(
        "metres",
        "What the checkpoint's numbers are: metres and radians with the gripper 0 closed to 1 "
        "open, or LIBERO's units, which are sent as LIBERO takes them.",
        choices=("metres", "libero"),
    )
    image_keys: tuple[str, ...] = setting(
        ("observation/image", "observation/wrist_image"),
        "Names of the pictures in openpi's messages, one per view, the main camera first.",
    )
    state_key: str = setting("observation/state", "Name of the state in openpi's messages.")
    message_limit: float = setting(
        32.0, "Largest message that is read.", unit="MiB", low=0.01, high=1024.0
    )
    answer_limit: float = setting(
        30.0, "Longest time for one answer, waiting for other clients included.",
        unit="s", low=0.01, high=3600.0,
    )  # fmt: skip
    send_limit: float = setting(
        5.0, "Longest time until a client has taken an answer.", unit="s", low=0.01, high=3600.0
    )
    idle_limit: float = setting(
        1200.0, "Longest time between two messages of a client.", unit="s", low=0.01, high=86400.0
    )
    greeting_limit: float = setting(
        10.0, "Longest time from connection to request.", unit="s", low=0.01, high=3600.0
    )
    clients: int = setting(32, "Clients at a time.", unit="clients", low=1, high=1000)

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.image_keys:
            raise ConfigError("image_keys is empty, one name per view is needed")

    @property
    def message_bytes(self) -> int:
        """Largest message in bytes."""
        return int(self.message_limit * 2**20)
