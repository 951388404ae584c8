"""What vla-eval's harness is told of our actions and observations; its own words for them."""

from typing import Any, Final

from .served import Served

_PICTURE: Final = {"name": "image", "dims": 0, "format": "rgb_hwc_uint8"}
_LANGUAGE: Final = {"name": "language", "dims": 0, "format": "language"}
_ROTATION: Final = {
    "name": "rotation", "dims": 3, "format": "axis_angle", "range": [-3.15, 3.15]
}  # fmt: skip
_METRES: Final[dict[str, Any]] = {
    "position": {"name": "position", "dims": 3, "format": "delta_xyz_metres"},
    "rotation": _ROTATION,
    "gripper": {"name": "gripper", "dims": 1, "format": "continuous_01", "range": [0, 1]},
}
_LIBERO: Final[dict[str, Any]] = {
    "position": {"name": "position", "dims": 3, "format": "delta_xyz", "range": [-1, 1]},
    "rotation": _ROTATION,
    "gripper": {"name": "gripper", "dims": 1, "format": "binary_close_positive", "range": [-1, 1]},
}
_LIBERO_STATE: Final = {"name": "state", "dims": 8, "format": "eef_pos3_axisangle3_gripper2"}


def vla_eval_specs(served: Served) -> dict[str, Any]:
    """Return the part of a hello that says what is sent and what is wanted."""
    info = served.setup.policy.info
    if not served.libero:
        return {
            "action_spec": _METRES,
            "observation_spec": {"front": _PICTURE, "language": _LANGUAGE},
        }
    wanted = {"agentview": _PICTURE, "language": _LANGUAGE}
    if (info.views or 1) > 1:
        wanted["wrist"] = _PICTURE
    if info.state_size:
        wanted["state"] = _LIBERO_STATE
    return {
        "observation_params": {
            "send_wrist_image": (info.views or 1) > 1,
            "send_state": bool(info.state_size),
            "env_seed": 0,
            "quat_no_antipodal": True,  # rotation vectors as OpenVLA-OFT's data has them
        },
        "action_spec": _LIBERO,
        "observation_spec": wanted,
    }
