"""One launch per arm: a second one is refused before any of its nodes can touch the first.

The claim is an abstract socket. The kernel keeps two processes of a machine from holding the same
one, and lets go when the process ends, however it ends; no file is left behind.
"""

import os
import socket
import struct
from collections.abc import Mapping

from ..errors import ConfigError
from .arm_name import namespace
from .lifeline import lifeline_address


def domain_of(environ: Mapping[str, str]) -> int:
    """Return the ROS domain of an environment that has been checked."""
    return int(environ.get("ROS_DOMAIN_ID", "").strip() or "0", 0)


class ArmClaim:
    """The claim of a launch on one arm in one ROS domain of this machine, until it is closed.

    Args:
        domain: ROS domain.
        arm: Its robot_name; all robot types have the plain names, which are one claim.

    Raises:
        ConfigError: Another launch or controller has it; names its process.
    """

    def __init__(self, domain: int, arm: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        address = f"adp_ros/launch/{domain}{namespace(arm)}"
        try:
            self._listener.bind("\0" + address)
        except OSError:
            self.close()
            raise _taken("launch", address, domain, arm) from None
        self._listener.listen()
        holder = lifeline_address(domain, arm)
        if _answers(holder):
            self.close()
            raise _taken("controller", holder, domain, arm)

    def close(self) -> None:
        """Let go."""
        self._listener.close()

    def __enter__(self) -> "ArmClaim":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def claim_arm(arm: str, environ: Mapping[str, str] = os.environ) -> ArmClaim:
    """Claim an arm in the ROS domain of an environment, see :class:`ArmClaim`."""
    return ArmClaim(domain_of(environ), arm)


def _answers(address: str) -> bool:
    """Tell whether a process listens there; an unnamed connection means nothing to a controller."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        return probe.connect_ex("\0" + address) == 0


def _taken(what: str, address: str, domain: int, arm: str) -> ConfigError:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        process = ""
        if probe.connect_ex("\0" + address) == 0:
            size = struct.calcsize("3i")
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            process = f" (process {struct.unpack('3i', credentials)[0]})"
    return ConfigError(
        f"another {what}{process} has the arm {arm} in ROS domain {domain}, one is allowed: end "
        "it, or set ROS_DOMAIN_ID"
    )
