"""Settings of the driver of a real arm."""

from dataclasses import dataclass

from ...settings import check_settings, setting
from ..robot import ROBOTS
from .sdk import EthernetAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmDriverSettings:
    """Which arm is driven, over what, and how often it is read."""

    robot_type: str = setting(
        "j2n6s300",
        "Kinova's name of the arm; another one is refused",
        choices=tuple(ROBOTS.built_in),
    )
    sdk_path: str = setting("", "Folder of Kinova's libraries; empty: the usual places")
    serial_number: str = setting("", "Of the arm; needed where several are connected")
    robot_ip: str = setting("", "Address of the arm; empty: USB")
    local_ip: str = setting("", "This machine's address; empty: the one that reaches the arm")
    subnet_mask: str = setting("255.255.255.0", "Of both addresses")
    local_cmd_port: int = setting(25000, "This machine's port for commands", low=1, high=65535)
    local_broadcast_port: int = setting(25025, "This machine's broadcast port", low=1, high=65535)
    robot_port: int = setting(55000, "The arm's port", low=1, high=65535)
    torque_source: str = setting(
        "raw",
        "raw: torques with gravity, of which the controller takes its own model off; gravity_free: "
        "the arm's own estimate is taken off (set torque.source of the controller alike)",
        choices=("raw", "gravity_free"),
    )
    torque_period: float = setting(
        0.0125, "Between two reads of the torques", unit="s", low=0.005, high=0.02
    )
    joints_period: float = setting(
        0.02, "Between two reads of joints and fingers", unit="s", low=0.005, high=0.1
    )
    pose_period: float = setting(
        0.02, "Between two reads of the tool pose", unit="s", low=0.005, high=0.1
    )
    velocity_factor: float = setting(
        2.0,
        "Factor on the joint speeds that the arm reports; kinova-ros doubles them too",
        low=0.1,
        high=4.0,
    )
    most_points: int = setting(
        3, "Points of 10 ms in the arm's queue at most; what is more is dropped", low=2, high=20
    )
    stream_timeout: float = setting(
        0.05, "The arm is stopped when a stream ends for so long", unit="s", low=0.02, high=1.0
    )
    init_fingers: bool = setting(
        False, "Initialise the fingers at the start: the hand opens and drops what it holds"
    )
    call_timeout: float = setting(
        0.25,
        "A call of the SDK that takes longer hangs: the process ends, and so does the motion",
        unit="s",
        low=0.05,
        high=5.0,
    )
    patience: float = setting(
        0.0, "At the start an arm that is not there is waited for so long", unit="s",
        low=0.0, high=600.0,
    )  # fmt: skip
    reconnect_delay: float = setting(
        0.5, "Wait before an arm that is lost is looked for; doubles each time", unit="s",
        low=0.05, high=60.0,
    )  # fmt: skip
    reconnect_delay_max: float = setting(
        8.0, "Longest wait between two looks", unit="s", low=0.05, high=600.0
    )

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def address(self) -> EthernetAddress | None:
        """Where the arm is on Ethernet, None for USB."""
        if not self.robot_ip:
            return None
        return EthernetAddress(
            robot_ip=self.robot_ip,
            local_ip=self.local_ip,
            subnet_mask=self.subnet_mask,
            local_cmd_port=self.local_cmd_port,
            local_broadcast_port=self.local_broadcast_port,
            robot_port=self.robot_port,
        )
