"""How scenes look: camera, light, colours and textures in named levels."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import scene_of

from adp_ros.errors import TwinError
from adp_ros.sim.look import KINDS, LEVEL_NAMES, LEVELS, SIZE, draw_look, draw_texture, nominal_view
from adp_ros.sim.scene import build_scene

RANDOM = ("default", "strong")


def test_none_is_the_same_for_every_seed():
    """Without randomisation the camera stands as drawn, colours are the items' own."""
    first, second = draw_look("pot_to_plate", 0, "none"), draw_look("wipe_table", 9, "none")
    for look in (first, second):
        np.testing.assert_array_equal(look.view.position, nominal_view().position)
        np.testing.assert_array_equal(look.tints, np.ones((8, 3)))
        assert look.texture is None
    np.testing.assert_array_equal(first.table, second.table)


@pytest.mark.parametrize("level", RANDOM)
def test_a_look_depends_on_task_seed_and_level_alone(level):
    """Drawn twice it is equal, for another seed or task it differs."""
    look, again = (draw_look("pot_to_plate", 5, level) for _ in range(2))
    np.testing.assert_array_equal(look.view.position, again.view.position)
    np.testing.assert_array_equal(look.table, again.table)
    for other in (draw_look("pot_to_plate", 6, level), draw_look("wipe_table", 5, level)):
        assert np.abs(look.view.position - other.view.position).max() > 1e-5


@pytest.mark.parametrize("level", RANDOM)
def test_deviations_stay_within_the_level(level):
    """In 100 scenes camera and colours stay within their limits, and use most of the range."""
    limits, nominal = LEVELS[level], nominal_view()
    looks = [draw_look("cube_to_plate", seed, level) for seed in range(100)]
    shifts = np.array([look.view.position - nominal.position for look in looks])
    assert 0.8 * limits.shift < np.abs(shifts).max() <= limits.shift
    tints = np.array([look.tints for look in looks]) - 1.0
    assert 0.8 * limits.tint < np.abs(tints).max() <= limits.tint
    share = np.mean([look.texture is not None for look in looks])
    assert share == pytest.approx(limits.textured, abs=0.15)


def test_strong_is_stronger_than_default():
    """Every limit of strong is larger than that of default."""
    default, strong = (LEVELS[level] for level in RANDOM)
    for name in replace(default).__slots__:
        assert getattr(strong, name) > getattr(default, name)


def test_the_look_changes_nothing_that_touches():
    """At every level things start at the same places and weigh the same."""
    scenes = [
        build_scene(scene_of("carrot_to_pan", 3, randomisation=level)) for level in LEVEL_NAMES
    ]
    for scene in scenes[1:]:
        np.testing.assert_array_equal(scene.start, scenes[0].start)
        np.testing.assert_array_equal(scene.model.body_mass, scenes[0].model.body_mass)
        np.testing.assert_array_equal(scene.model.geom_contype, scenes[0].model.geom_contype)


@pytest.mark.parametrize("kind", KINDS)
def test_textures_vary_around_their_colour(kind):
    """A texture is not flat, and its mean is near the colour that it was drawn for."""
    color = np.array([0.7, 0.5, 0.3])
    picture = draw_texture(kind, color, 0.3, np.random.default_rng(0))
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.std(axis=(0, 1)).min() > 3.0
    np.testing.assert_allclose(picture.mean(axis=(0, 1)) / 255.0, color, atol=0.12)


def test_points_behind_the_camera_have_no_pixel():
    """The base's origin projects near the picture's middle column, behind gives no number."""
    view = nominal_view()
    behind = view.position + view.rotation[:, 2]
    pixels = view.project(np.array([[0.0, -0.4, 0.0], behind]))
    assert pixels[0, 0] == pytest.approx(320.0)
    assert np.isnan(pixels[1]).all()
    halved = view.project(np.array([[0.0, -0.4, 0.0]]), 320, 240)
    np.testing.assert_allclose(halved, 0.5 * pixels[:1])


def test_unknown_level_names_those_that_exist():
    """The message of an unknown level lists what is allowed."""
    with pytest.raises(TwinError, match="randomisation is 'wild', allowed: none, default, strong"):
        build_scene(scene_of("wipe_table", 0, randomisation="wild"))
