"""Pruning of vision tokens: ADP's text-driven choice and baselines behind one interface."""

from .base import PruneContext, Pruner, ScoringModel, Selection
from .blind import RandomPruner, UniformGridPruner
from .budget import Budget
from .divprune import DivPrunePruner
from .fastv import FastVPruner
from .frame_difference import FrameDifferencePruner
from .registry import PRUNERS, PrunerInfo, make_pruner
from .text_driven import InversePruner, TextDrivenPruner

__all__ = [
    "PRUNERS",
    "Budget",
    "DivPrunePruner",
    "FastVPruner",
    "FrameDifferencePruner",
    "InversePruner",
    "PruneContext",
    "Pruner",
    "PrunerInfo",
    "RandomPruner",
    "ScoringModel",
    "Selection",
    "TextDrivenPruner",
    "UniformGridPruner",
    "make_pruner",
]
