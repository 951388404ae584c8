"""What is taught beside the actions: a scene's landmarks, and networks that read them off.

They stand in for what a large model learns in pretraining, which objects there are and where;
none of their weights is in the checkpoint that training leaves.
"""

from typing import Final

import torch
from torch import Tensor, nn

from .demonstrations import LANDMARKS as LANDMARK_NAMES

LANDMARKS: Final = len(LANDMARK_NAMES)
TOOL: Final = LANDMARK_NAMES.index("tool")
POSITION_SCALE: Final = 0.2  # [m] that a network's output of 1 stands for
SHOWN: Final = 1.1  # [patches^2] within which a patch shows a landmark
_SPREAD: Final = (1.0, 1.8, 1.5)  # [patches] of item, receptacle, hand
_SHARE: Final = (0.4, 0.3, 0.3)  # of the attention that each deserves
_GRID: Final = 16
_PATCH: Final = 14  # [px]


def patch_distances(pixels: Tensor) -> Tensor:
    """Return squared distances (B, L, V) in [patches^2] of landmarks to the patches' middles.

    The landmarks lie in a 224x224 picture, shape (B, L, 2), in [px].
    """
    steps = torch.arange(_GRID, dtype=pixels.dtype, device=pixels.device)
    middles = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).view(-1, 2)  # (V, 2)
    places = pixels / _PATCH - 0.5  # (B, L, 2)
    return (middles - places[:, :, None]).square().sum(-1)


def inside(pixels: Tensor) -> Tensor:
    """Tell which landmarks (B, L, 2) lie in the picture, as 0 and 1, shape (B, L)."""
    size = _GRID * _PATCH
    return ((pixels > 0) & (pixels < size)).all(-1).to(pixels.dtype)


def wanted_relevance(pixels: Tensor) -> Tensor:
    """Return the share of attention that each patch deserves, shape (B, V); rows sum to 1."""
    spread = pixels.new_tensor(_SPREAD)[None, :, None]
    near = torch.exp(-0.5 * patch_distances(pixels) / spread.square())  # (B, L, V)
    near = near / near.sum(-1, keepdim=True).clamp_min(1e-6)
    share = pixels.new_tensor(_SHARE) * inside(pixels)  # (B, L)
    share = share / share.sum(-1, keepdim=True).clamp_min(1e-6)
    return (near * share[:, :, None]).sum(1)


class PatchHeads(nn.Module):
    """Which item of which instruction a patch shows, and where that item is."""

    def __init__(self, hidden: int, instructions: int) -> None:
        super().__init__()
        self.things = instructions * LANDMARKS
        self.shown = nn.Linear(hidden, self.things)
        self.place = nn.Linear(hidden, self.things * 3)

    def forward(self, patches: Tensor, instruction: Tensor) -> tuple[Tensor, Tensor]:
        """Read the patches (B, V, D) of a batch, each sample with the number of its instruction.

        Returns:
            Logits (B, V, L) and positions in units of :data:`POSITION_SCALE`, (B, V, L, 3), of
            the landmarks of each sample's instruction.
        """
        batch, count, _ = patches.shape
        shown = self.shown(patches).view(batch, count, -1, LANDMARKS)  # (B, V, I, L)
        place = self.place(patches).view(batch, count, -1, LANDMARKS, 3)  # (B, V, I, L, 3)
        rows = torch.arange(batch, device=patches.device)
        return shown[rows, :, instruction], place[rows, :, instruction]


class Readout(nn.Module):
    """Positions of the landmarks, off the tokens of text and proprioception half-way."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.text = nn.Linear(hidden, LANDMARKS * 3)
        self.proprio = nn.Linear(hidden, 2 * LANDMARKS * 3)

    def forward(self, text: Tensor, proprio: Tensor) -> tuple[Tensor, Tensor]:
        """Read positions off the prompt's mean state (B, D) and proprioception's (B, D).

        Returns:
            Off the text, (B, L, 3); off proprioception in the base frame and relative to the
            tool, (B, 2, L, 3); in units of :data:`POSITION_SCALE`.
        """
        off_text = self.text(text).view(-1, LANDMARKS, 3)
        return off_text, self.proprio(proprio).view(-1, 2, LANDMARKS, 3)
