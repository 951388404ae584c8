"""How a checkpoint is loaded. Needs nothing heavy, so that nodes can declare the settings."""

from dataclasses import dataclass

from ..settings import check_settings, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """Choices of the user that no checkpoint file makes.

    Attributes:
        device: ``cpu``, ``cuda`` or ``cuda:1`` and so on.
        dtype: Type of the weights; ``auto`` is bfloat16 on CUDA, float32 on the CPU.
        unnorm_key: Data set whose statistics are used; empty where the checkpoint has only one.
        center_crop: Crop the pictures as fine-tuning with augmentation needs it.
        action_slice: Rows of the decoder that the head reads. ``trained``: from the last prompt
            token on, as OpenVLA-OFT trains and runs. ``replicate_release``: one later, as the
            released ADP code does.
        constant_proprio: What a state dimension becomes that never changed in the training data:
            -1 or 1 as the released ``inference`` code computes it, which published results were
            made with, or 0 as in ``training``.
    """

    device: str = setting("cpu", "Device of the model: cpu, cuda, cuda:1.")
    dtype: str = setting(
        "auto",
        "Type of the weights; auto is bfloat16 on CUDA and float32 on the CPU.",
        choices=("auto", "float32", "bfloat16"),
    )
    unnorm_key: str = setting("", "Data set whose statistics are used; empty for the only one.")
    center_crop: bool = setting(True, "Crop 90 % of each picture's area before the towers.")
    action_slice: str = setting(
        "trained",
        "Rows the action head reads: as trained, or one later as the released ADP code.",
        choices=("trained", "replicate_release"),
    )
    constant_proprio: str = setting(
        "inference",
        "Value of constant state dimensions: as released inference code, or 0 as in training.",
        choices=("inference", "training"),
    )

    def __post_init__(self) -> None:
        check_settings(self, "policy.")
