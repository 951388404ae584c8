"""Networks that exist at training only: they read positions off the model's inner states.

They stand in for what a large model learns in pretraining, which things there are and where;
none of their weights is in the checkpoint that training leaves.
"""

import torch
from torch import Tensor, nn

from .places import LANDMARKS

POSITION_SCALE = 0.2  # [m] that a network's output of 1 stands for


class PatchHeads(nn.Module):
    """Which thing of which instruction a patch shows, and where that thing is."""

    def __init__(self, hidden: int, instructions: int) -> None:
        super().__init__()
        self.things = instructions * LANDMARKS
        self.shown = nn.Linear(hidden, self.things)
        self.place = nn.Linear(hidden, self.things * 3)

    def forward(self, patches: Tensor, instruction: Tensor) -> tuple[Tensor, Tensor]:
        """Read the patches of a batch.

        Args:
            patches: Shape (B, V, D).
            instruction: Number of each sample's instruction, shape (B,).

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
        """Read positions.

        Args:
            text: Mean state of the prompt's tokens, shape (B, D).
            proprio: State of the proprioceptive token, shape (B, D).

        Returns:
            Off the text, (B, L, 3); off proprioception in the base frame and relative to the
            tool, (B, 2, L, 3); in units of :data:`POSITION_SCALE`.
        """
        off_text = self.text(text).view(-1, LANDMARKS, 3)
        return off_text, self.proprio(proprio).view(-1, 2, LANDMARKS, 3)
