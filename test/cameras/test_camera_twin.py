"""The twin's camera renders states as they are due, with their own stamps."""

import numpy as np
import pytest
from scenes import scene_of

from adp_ros.cameras.camera import CameraSettings, TwinSnapshot
from adp_ros.cameras.camera_health import make_camera
from adp_ros.cameras.twin_camera import TwinCamera, make_twin_renderer

SETTINGS = CameraSettings(source="twin", framerate=30.0)


class States:
    """A twin that has published a state every ``period`` seconds, as seen by a slow reader."""

    def __init__(self, period: float, scenes: tuple[tuple[str, int], ...] = (("wipe", 0),)):
        self.period = period
        self.scenes = scenes
        self.index = 0

    def wait(self, due: float, timeout: float) -> TwinSnapshot | None:
        """Return the first state at or after ``due``."""
        while 100.0 + self.index * self.period < due:
            self.index += 1
        stamp = 100.0 + self.index * self.period
        self.index += 1
        task, seed = self.scenes[min(self.index // 4, len(self.scenes) - 1)]
        return TwinSnapshot(task, seed, np.array([stamp]), np.zeros(3, np.bool_), stamp)


class Drawing:
    """Draws the first position as a number in the first pixel."""

    made: list[tuple[str, int]] = []
    closed = 0

    def __init__(self, task: str, seed: int, settings: CameraSettings) -> None:
        Drawing.made.append((task, seed))
        self.size = settings.size

    def render(self, qpos, cleaned) -> np.ndarray:
        return np.zeros((self.size[1], self.size[0], 3), np.uint8)

    def close(self) -> None:
        Drawing.closed += 1


@pytest.fixture(autouse=True)
def _fresh():
    Drawing.made, Drawing.closed = [], 0


@pytest.mark.parametrize("period", [0.01, 0.02, 1 / 60, 0.033])
def test_rate_is_thirty_whatever_the_rate_of_the_states(period: float) -> None:
    """Over 10 s of states, frames come at 30 Hz, stamped as their states."""
    source = TwinCamera(SETTINGS, States(period).wait, Drawing)
    stamps = [source.read(0.1).stamp for _ in range(300)]
    assert 299 / (stamps[-1] - stamps[0]) == pytest.approx(30.0, rel=0.02)
    assert (np.diff(stamps) > 0).all()


def test_slow_states_are_not_drawn_twice() -> None:
    """States at 10 Hz give 10 pictures a second, each once."""
    source = TwinCamera(SETTINGS, States(0.1).wait, Drawing)
    stamps = [source.read(0.1).stamp for _ in range(20)]
    np.testing.assert_allclose(np.diff(stamps), 0.1)


def test_no_state_is_no_picture() -> None:
    """A twin that has not started is waited for."""
    source = TwinCamera(SETTINGS, lambda due, timeout: None, Drawing)
    assert source.open() == ()
    assert source.read(0.1) is None
    assert Drawing.made == []
    source.close()


def test_new_scene_gets_a_new_renderer() -> None:
    """Another seed means other object places: the old renderer is closed."""
    source = TwinCamera(SETTINGS, States(0.1, (("wipe", 0), ("wipe", 1))).wait, Drawing)
    for _ in range(12):
        source.read(0.1)
    assert Drawing.made == [("wipe", 0), ("wipe", 1)]
    assert Drawing.closed == 1
    source.close()
    assert Drawing.closed == 2


def test_real_scene_is_rendered() -> None:
    """With MuJoCo's model of the wiping task, the picture has the published size and content."""
    from adp_ros.sim.scene import build_scene

    scene = build_scene(scene_of("wipe_table", 3, "j2n6s300"))
    cleaned = np.zeros(len(scene.cells), np.bool_)
    state = TwinSnapshot("wipe_table", 3, scene.model.qpos0.copy(), cleaned, 5.0)
    camera = make_camera(SETTINGS, None, lambda: lambda due, timeout: state).camera
    frame = camera.read(0.1)
    assert frame.rgb.shape == (480, 640, 3) and frame.stamp == 5.0
    assert frame.rgb.std() > 20
    camera.close()
    renderer = make_twin_renderer("wipe_table", 3, SETTINGS)
    wiped = renderer.render(state.qpos, ~cleaned)
    assert (wiped != frame.rgb).any(axis=2).sum() > 1000  # the stain is gone
    renderer.close()
