"""Pictures of the twin from its front camera."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scenes import scene_of

from adp_ros.errors import ConfigError, TwinError
from adp_ros.sim import render as render_module
from adp_ros.sim.render import TwinRenderer


@pytest.fixture
def make():
    """Build renderers that are closed after the test."""
    made = []

    def build(*args, size=(640, 480), **kwargs):
        made.append(TwinRenderer(scene_of(*args, **kwargs), *size))
        return made[-1]

    yield build
    for renderer in made:
        renderer.close()


def _pixel(renderer, point):
    """Project a point of the base frame into the picture of a renderer."""
    return np.round(renderer.scene.look.view.project(np.array([point]))[0]).astype(int)


def _show(renderer, cleaned=None):
    count = len(renderer.scene.cells)
    return renderer.render(
        renderer.scene.start, np.zeros(count, dtype=bool) if cleaned is None else cleaned
    )


@pytest.mark.parametrize(
    ("task", "item", "channel"),
    [("pot_to_plate", "pot", 0), ("cube_to_plate", "cube", 2), ("carrot_to_pan", "pan", 2)],
)
@pytest.mark.parametrize("level", ["none", "strong"])
def test_items_are_seen_where_the_camera_model_says(make, task, item, channel, level):
    """At the projection of an item's place there is its colour, in red, green, blue order."""
    renderer = make(task, 1, randomisation=level)
    spot = next(s for i, s in renderer.scene.placement.items if i.name == item)
    u, v = _pixel(renderer, [spot.x, spot.y, 0.01])
    picture = _show(renderer)
    assert picture.shape == (480, 640, 3)
    assert picture.dtype == np.uint8
    patch = picture[v - 2 : v + 3, u - 2 : u + 3].reshape(-1, 3).mean(axis=0)
    others = [c for c in range(3) if c != channel]
    assert patch[channel] > 1.5 * patch[others].max()


@pytest.mark.parametrize("level", ["none", "default", "strong"])
def test_the_projection_finds_the_middle_of_what_is_seen(make, level):
    """The middle of all pixels of the cube is within 2 pixels of its projected middle."""
    renderer = make("cube_to_plate", 7, distractors="never", randomisation=level)
    spot = next(s for i, s in renderer.scene.placement.items if i.name == "cube")
    picture = _show(renderer).astype(int)
    seen = (picture[..., 2] > 60) & (picture[..., 2] > 2 * picture[..., 0])
    near = np.zeros_like(seen)
    u, v = _pixel(renderer, [spot.x, spot.y, 0.022])
    near[v - 25 : v + 25, u - 25 : u + 25] = True
    middle = np.argwhere(seen & near).mean(axis=0)[::-1]
    assert (seen & near).sum() > 100
    np.testing.assert_allclose(middle, [u, v], atol=2.0)


def test_left_in_the_picture_is_minus_x(make):
    """The camera faces the arm: an item at negative x is in the left half."""
    renderer = make("cube_to_plate", 7, distractors="never")
    spot = next(s for i, s in renderer.scene.placement.items if i.name == "cube")
    picture = _show(renderer).astype(int)
    blue = (picture[..., 2] > 120) & (picture[..., 0] < 90)
    assert np.sign(np.nonzero(blue)[1].mean() - 320) == np.sign(spot.x)


def test_wiped_cells_vanish_and_the_others_stay(make):
    """A wiped cell shows the table, its neighbours still show dirt."""
    renderer = make("wipe_table", 3)
    cells = renderer.scene.cells
    cleaned = cells[:, 0] < cells[:, 0].mean()
    picture = _show(renderer, cleaned).astype(int)
    for cell, clean in zip(cells[[1, -2]], cleaned[[1, -2]], strict=True):
        u, v = _pixel(renderer, [*cell, 0.0])
        assert (picture[v, u].sum() > 300) == clean


def test_a_moved_arm_is_a_different_picture(make):
    """The picture follows the positions; the same positions give the same picture."""
    renderer = make("wipe_table", 3)
    first = _show(renderer)
    qpos = renderer.scene.start.copy()
    qpos[0] += 0.5
    moved = renderer.render(qpos, np.zeros(len(renderer.scene.cells), dtype=bool))
    np.testing.assert_array_equal(_show(renderer), first)
    assert (np.abs(moved.astype(int) - first) > 30).any(axis=2).sum() > 2000


def test_two_renderers_of_one_seed_agree(make):
    """Two renderers, each with its own context, give the same picture."""
    np.testing.assert_array_equal(_show(make("pot_to_plate", 5)), _show(make("pot_to_plate", 5)))


def test_other_sizes_and_arms(make):
    """Size and arm follow the arguments."""
    renderer = make("wipe_table", 0, "j2n6s200", size=(224, 224))
    assert _show(renderer).shape == (224, 224, 3)


def test_states_of_another_scene_are_refused(make):
    """A state of the wrong length is refused with both numbers."""
    renderer = make("wipe_table", 0)
    count = len(renderer.scene.start)
    words = f"state has {count} positions and 3 cells, the scene {count} and 96"
    with pytest.raises(TwinError, match=words):
        renderer.render(renderer.scene.start, np.zeros(3, dtype=bool))


def test_wrong_arguments_are_refused():
    """Unknown task, arm and size are refused by name before any graphics is opened."""
    with pytest.raises(ConfigError, match="task is 'x'"):
        TwinRenderer(scene_of("x", 0))
    with pytest.raises(TwinError, match="robot_type 'j2s6s200'"):
        TwinRenderer(scene_of("wipe_table", 0, "j2s6s200"))
    with pytest.raises(TwinError, match="picture size is 4000x480, allowed: up to 1280x960"):
        TwinRenderer(scene_of("wipe_table", 0), width=4000)


def test_missing_graphics_names_the_packages(monkeypatch):
    """Without a working backend the message names what to install and the fallback."""
    monkeypatch.setenv("MUJOCO_GL", "egl")

    def fail(name):
        raise ImportError(f"no {name}")

    monkeypatch.setattr(render_module, "import_module", fail)
    with pytest.raises(TwinError, match="with egl .*libegl1 .*MUJOCO_GL=osmesa"):
        TwinRenderer(scene_of("wipe_table", 0))
    monkeypatch.setenv("MUJOCO_GL", "vulkan")
    with pytest.raises(TwinError, match="MUJOCO_GL is 'vulkan', allowed: egl, osmesa, glfw"):
        TwinRenderer(scene_of("wipe_table", 0))


@pytest.mark.parametrize("backend", ["nonsense", "osmesa"])
def test_what_mujoco_refuses_at_import_is_one_line_with_the_variable(backend):
    """MuJoCo reads MUJOCO_GL when it is imported; a wrong value ends in words, not in its trace."""
    code = (
        "from adp_ros.errors import TwinError\n"
        "try:\n    import adp_ros.sim.render, adp_ros.sim.twin\n    print('drawn')\n"
        "except TwinError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "MUJOCO_GL": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    line = done.stdout.strip()
    if backend == "osmesa" and line == "drawn":
        return  # its library is installed here
    assert line.startswith(f"MUJOCO_GL is '{backend}', MuJoCo can't be loaded with it (")
    assert "unset MUJOCO_GL" in line and "\n" not in line


def test_close_may_be_called_twice(make):
    """Closing again does nothing."""
    renderer = make("wipe_table", 0)
    renderer.close()
    renderer.close()
