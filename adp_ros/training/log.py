"""Progress of a run, for people and for the record."""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from .curves import MetricsFile
from .measure import Scores
from .processes import Processes
from .recipe import Recipe
from .trainer import Place

_AVERAGED: Final = 50  # steps whose mean losses make one entry


class Progress(Protocol):
    """Shows a run to a person."""

    def begin(self, text: str, samples: int, done: int) -> None:
        """The run begins or goes on."""
        ...

    def advance(self, samples: int, stage: str, losses: Mapping[str, float]) -> None:
        """So many samples are done."""
        ...

    def validated(self, stage: str, scores: Scores) -> None:
        """A validation is done."""
        ...


class RunLog:
    """Averages losses, writes them down, and shows them; only in the first process.

    Attributes:
        scores: Newest validation, empty before there is one.
    """

    def __init__(
        self, recipe: Recipe, file: MetricsFile, progress: Progress, processes: Processes
    ) -> None:
        self._recipe = recipe
        self._file = file
        self._progress = progress
        self._processes = processes
        self._recent: list[Mapping[str, float]] = []
        self.scores: Mapping[str, float] = {}

    def samples(self, place: Place) -> int:
        """Return how many samples are done at a place."""
        stages = self._recipe.stages
        done = sum(s.steps * s.batch for s in stages[: place.stage])
        return done + (place.step * stages[place.stage].batch if place.step else 0)

    def trained(self, place: Place, losses: Mapping[str, float]) -> None:
        """One step is done."""
        if not self._processes.first:
            return
        stage = self._recipe.stages[place.stage]
        self._recent.append(losses)
        mean = {n: sum(r[n] for r in self._recent) / len(self._recent) for n in losses}
        self._progress.advance(self.samples(place), stage.name, mean)
        if len(self._recent) == _AVERAGED or place.step == stage.steps:
            self._file.add("trained", self.samples(place), stage.name, mean)
            self._recent.clear()

    def validated(self, place: Place, scores: Scores) -> None:
        """A validation is done."""
        stage = self._recipe.stages[place.stage]
        values: dict[str, Any] = scores.as_dict()
        self.scores = values
        self._file.add("validated", self.samples(place), stage.name, values)
        self._progress.validated(stage.name, scores)
