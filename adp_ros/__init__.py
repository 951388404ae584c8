"""OpenVLA-OFT policies, accelerated by Action-aware Dynamic Pruning, on a Kinova Jaco2.

The names below are imported when they are first used: importing this package imports nothing
heavy, neither rclpy nor torch nor cv2 nor mujoco.
"""

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adp.cost import expected_flops as expected_flops
    from .adp.cost import llm_flops as llm_flops
    from .adp.gate import Gate as Gate
    from .adp.gate_settings import GateConfig as GateConfig
    from .adp.pruner import Pruner as Pruner
    from .adp.registry import make_pruner as make_pruner
    from .adp.text_driven import TextDrivenPruner as TextDrivenPruner
    from .control.controller import Controller as Controller
    from .evaluation.rollout import run_rollout as run_rollout
    from .policies.policy import Policy as Policy
    from .policies.policy import Prediction as Prediction
    from .policies.policy import load_policy as load_policy
    from .types import Observation as Observation

__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"

_PUBLIC = {
    "Camera": "cameras.camera",
    "Controller": "control.controller",
    "Gate": "adp.gate",
    "GateConfig": "adp.gate_settings",
    "Observation": "types",
    "Policy": "policies.policy",
    "Prediction": "policies.policy",
    "Pruner": "adp.pruner",
    "Robot": "robots.robot",
    "Task": "sim.task",
    "TextDrivenPruner": "adp.text_driven",
    "expected_flops": "adp.cost",
    "llm_flops": "adp.cost",
    "load_policy": "policies.policy",
    "make_pruner": "adp.registry",
    "run_rollout": "evaluation.rollout",
}


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return vars(import_module(f"{__name__}.{_PUBLIC[name]}"))[name]


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
