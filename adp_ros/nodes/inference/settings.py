"""Settings of the inference node."""

from dataclasses import dataclass

from ...errors import ConfigError
from ...kinematics import ROBOT_TYPES
from ...settings import check_settings, setting

DECLARED = "declared"  # by the checkpoint itself


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceSettings:
    """Which policy plans, on what, and how much of the machine it may take.

    Raises:
        ConfigError: Names the setting, its value and what is allowed.
    """

    policy: str = setting(
        "oft",
        "What moves the arm: the OpenVLA-OFT checkpoint, the scripted expert of the simulated "
        "scene, or nothing. The checkpoint runs in every case.",
        choices=("oft", "expert", "hold"),
    )
    checkpoint: str = setting("", "Directory of an OpenVLA-OFT fine-tune.")
    device: str = setting(
        "auto",
        "Where the policy runs; auto: cuda where there is one.",
        choices=("auto", "cpu", "cuda"),
    )
    dtype: str = setting(
        "auto",
        "Number type of the weights; auto: bfloat16 on cuda, float32 on cpu.",
        choices=("auto", "float32", "bfloat16"),
    )
    unnorm_key: str = setting(
        "", "Data set whose statistics scale the actions; empty: the only one there is."
    )
    instruction: str = setting("wipe the table", "What the policy is told.")
    adp: str = setting("", "YAML file with the settings of gate and pruning; empty: our own.")
    threads: int = setting(1, "CPU threads of one forward pass.", unit="threads", low=1, high=256)
    idle: bool = setting(
        True,
        "Plan only on processor time that nothing else wants (SCHED_IDLE), so that the control "
        "loop is on time; false: at the nice value.",
    )
    nice: int = setting(10, "Nice value of the thread that plans, without idle.", low=0, high=19)
    image_topics: tuple[str, ...] = setting(
        ("/camera/image_raw",), "One picture topic per view, the main camera first."
    )
    image_width: int = setting(640, "Width of a picture.", unit="px", low=16, high=8192)
    image_height: int = setting(480, "Height of a picture.", unit="px", low=16, high=8192)
    center_crop: bool = setting(True, "Crop 90 % of the area, as trained with augmentation.")
    max_frame_age: float = setting(
        0.5, "No chunk is planned from an older picture.", unit="s", low=0.05, high=10.0
    )
    step_period: float = setting(
        0.1, "Time from one action to the next.", unit="s", low=0.02, high=1.0
    )
    robot_type: str = setting(
        "j2n6s300", "Arm, prefix of the driver's topics.", choices=ROBOT_TYPES
    )
    translation_frame: str = setting(
        DECLARED,
        "Frame of dx dy dz; declared: action_convention.json of the checkpoint says it.",
        choices=(DECLARED, "base", "tool"),
    )
    rotation_frame: str = setting(
        DECLARED, "Frame of the rotation increment.", choices=(DECLARED, "base", "tool")
    )
    rotation: str = setting(
        DECLARED,
        "Form of the rotation increment.",
        choices=(DECLARED, "euler_xyz", "rpy", "rotvec"),
    )
    state_layout: str = setting(
        "",
        "Names of the state's numbers, such as 'x y z rx ry rz finger_1 finger_2'; empty: "
        "state_layout.json of the checkpoint says it.",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.checkpoint:
            raise ConfigError(
                "checkpoint is '', the directory of an OpenVLA-OFT fine-tune is needed; "
                "'adp-ros checkpoint new' makes one with random weights"
            )
        if not self.instruction.strip():
            raise ConfigError("instruction is empty, say in words what the arm should do")
        if not self.image_topics:
            raise ConfigError("image_topics is empty, at least one topic is needed")
        given = (self.translation_frame, self.rotation_frame, self.rotation)
        if DECLARED in given and given != (DECLARED,) * 3:
            raise ConfigError(
                "translation_frame, rotation_frame and rotation belong together: "
                f"{', '.join(map(repr, given))} leaves one to the checkpoint; give all or none"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a picture in [px]."""
        return self.image_width, self.image_height
