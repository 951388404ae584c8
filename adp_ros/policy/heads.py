"""Small networks around the decoder: projectors into it, action head out of it.

Parameter names are those of the checkpoint files, without the prefix ``module.``.
"""

from torch import Tensor, nn
from torch.nn.functional import gelu, relu


class VisionProjector(nn.Module):
    """Bring patch features to the decoder's width."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(features, 4 * features)
        self.fc2 = nn.Linear(4 * features, hidden)
        self.fc3 = nn.Linear(hidden, hidden)

    def forward(self, features: Tensor) -> Tensor:
        """(..., E) to (..., D)."""
        out: Tensor = self.fc3(gelu(self.fc2(gelu(self.fc1(features)))))
        return out


class ProprioProjector(nn.Module):
    """Bring the normalised proprioception to the decoder's width, as one token."""

    def __init__(self, state: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(state, hidden)
        self.fc2 = nn.Linear(hidden, hidden)

    def forward(self, state: Tensor) -> Tensor:
        """(..., P) to (..., D)."""
        out: Tensor = self.fc2(gelu(self.fc1(state)))
        return out


class ResidualBlock(nn.Module):
    """x + ReLU(Linear(LayerNorm(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ffn = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU())

    def forward(self, hidden: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        out: Tensor = hidden + self.ffn(hidden)
        return out


class ActionHead(nn.Module):
    """L1 regression head: the hidden states of one action's numbers to the action."""

    def __init__(self, hidden: int, action_size: int) -> None:
        super().__init__()
        width = action_size * hidden
        self.action_size = action_size
        self.layer_norm1 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.mlp_resnet_blocks = nn.ModuleList(ResidualBlock(hidden) for _ in range(2))
        self.layer_norm2 = nn.LayerNorm(hidden)
        self.fc2 = nn.Linear(hidden, action_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """(B, T * action_size, D) to normalised actions (B, T, action_size)."""
        rows = hidden.unflatten(1, (-1, self.action_size)).flatten(2)  # (B, T, action_size * D)
        rows = relu(self.fc1(self.layer_norm1(rows)))  # (B, T, D)
        for block in self.mlp_resnet_blocks:
            rows = block(rows)  # (B, T, D)
        out: Tensor = self.fc2(self.layer_norm2(rows))
        return out
