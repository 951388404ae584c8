"""config/eval.yaml: every name is known, every override lands in the gate or the pruner."""

import pytest
import yaml
from evaluation_fakes import CONFIG, config

from adp_ros.adp.adp_settings import AdpSettings
from adp_ros.errors import ConfigError
from adp_ros.evaluation.conditions import load_config, make_condition
from adp_ros.evaluation.episodes import Plan, Shard


@pytest.fixture
def write(tmp_path):
    """Write an eval.yaml and load it."""

    def load(**sections):
        path = tmp_path / "eval.yaml"
        path.write_text(yaml.safe_dump(sections))
        return load_config(path, CONFIG / "adp.yaml")

    return load


def test_shipped_file_has_the_conditions_of_the_comparison():
    """Full vision, ADP, static, periodic, random, inverse, expert: each what its name says."""
    known = config()
    rules = {n: known.condition(n).settings() for n in known.conditions}
    assert rules["full"] == {"policy": "oft", "pruner": "none"}
    assert rules["expert"] == {"policy": "expert"}
    assert (rules["adp"]["pruner"], rules["adp"]["gate"]) == ("adp", "adjacent/extrema")
    assert (rules["static"]["pruner"], rules["static"]["gate"]) == ("adp", "always")
    assert rules["periodic"]["gate"] == "periodic"
    for name in ("random", "inverse"):
        assert rules[name] == {**rules["adp"], "pruner": name}  # same budget, same gate
        assert rules[f"{name}_static"] == {**rules["static"], "pruner": name}


def test_adp_is_the_settings_file_itself():
    """The condition adp changes nothing of config/adp.yaml."""
    assert config().condition("adp").adp == AdpSettings.load(CONFIG / "adp.yaml")


def test_keep_ratio_is_part_of_the_name():
    """adp@0.3 is adp but for the ratio; Table 4 has the paper's five."""
    known = config()
    three, half = known.condition("adp@0.3"), known.condition("adp@0.5")
    assert three.adp.pruning.qk_keep_ratio == 0.3
    assert three.digest != known.condition("adp").digest == half.digest
    ratios = [c.settings().get("keep") for c in known.chosen((), ("table4",))]
    assert ratios == [None, 0.3, 0.4, 0.5, 0.6, 0.7]


def test_sets_and_names_are_put_together_once():
    """A condition named twice is run once, in the order of the first mention."""
    names = [c.name for c in config().chosen(("adp", "uniform"), ("table2",))]
    assert names == ["full", "adp", "uniform"]


def test_only_what_changes_results_is_in_the_digest():
    """A description or the overlay's colour makes no other condition; the gate does."""
    plain = make_condition("a", "one", "oft", {})
    assert make_condition("b", "two", "oft", {"overlay_pruned_alpha": 7}).digest == plain.digest
    assert make_condition("a", "one", "oft", {"cold_start_windows": 3}).digest != plain.digest


def test_random_draws_follow_the_scene():
    """Each scene has draws of its own, the same in every order of episodes."""
    condition = make_condition("r", "", "oft", {"pruner": "random", "pruner_seed": 5})
    seeds = [condition.for_seed(seed).pruning.pruner_seed for seed in (0, 7, 2**32 - 1)]
    assert seeds == [5, 12, 4]
    assert condition.for_seed(7).gate.random_seed == 7


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"condition": {}}, "unknown name 'condition', did you mean 'conditions'?"),
        ({"conditions": {"a": {"adb": {}}}}, "condition a: unknown name 'adb', did you mean 'adp'"),
        ({"conditions": {"a": {"adp": {"qk_kep_ratio": 1}}}}, "did you mean 'qk_keep_ratio'?"),
        ({"conditions": {"a": {"adp": {"qk_keep_ratio": 2}}}}, "qk_keep_ratio is 2"),
        ({"conditions": {"a": {"policy": "human"}}}, "policy is 'human', allowed: oft, expert"),
        ({"conditions": {"a@1": {}}}, "'@' is kept for the keep ratio"),
        ({"conditions": {"a": 3}}, "a is 3, settings are needed"),
        ({"conditions": [1]}, "conditions is [1], names and settings are needed"),
        ({"sets": {"s": {"conditions": ["a"]}}}, "unknown condition 'a'"),
        ({"sets": {"s": {"conditions": []}}}, "set s: conditions is [], a list of names"),
        ({"scenes": {"x": {"randomization": "none"}}}, "did you mean 'randomisation'?"),
        ({"scenes": {"x": {"distractors": "some"}}}, "distractors is 'some'"),
    ],
)
def test_wrong_files_are_refused_by_name(write, sections, message):
    """What is wrong is named, and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        write(**sections)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda c: c.condition("apd"), "unknown condition 'apd', did you mean 'adp'?"),
        (lambda c: c.condition("adp@half"), "'half' is no keep ratio"),
        (lambda c: c.condition("adp@0"), "qk_keep_ratio is 0.0"),
        (lambda c: c.condition("full@0.3"), "condition full@0.3: nothing is pruned there"),
        (lambda c: c.chosen((), ("table3",)), "unknown set 'table3', did you mean 'table3"),
        (lambda c: c.scene("storng"), "unknown scene 'storng', did you mean 'strong'?"),
    ],
)
def test_wrong_names_are_refused(ask, message):
    """A name on the command line is checked against the file."""
    with pytest.raises(ConfigError) as caught:
        ask(config())
    assert message in str(caught.value)


def test_unreadable_files_are_refused(tmp_path):
    """A missing file and broken YAML take one line each."""
    with pytest.raises(ConfigError, match="can't be read"):
        load_config(tmp_path / "none.yaml", CONFIG / "adp.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML") as caught:
        load_config(tmp_path / "broken.yaml", CONFIG / "adp.yaml")
    assert "\n" not in str(caught.value)


def test_conditions_share_every_scene():
    """All conditions of one scene come in a row: pairs are whole wherever a run ends."""
    known = config()
    plan = Plan(("a", "b"), range(5, 8), (known.scene("default"),), known.chosen((), ("table2",)))
    keys = [episode.key for episode in plan.episodes()]
    assert len(keys) == 12 == len(set(keys))
    assert keys[:3] == [
        ("a", 5, "default", "full"),
        ("a", 5, "default", "adp"),
        ("b", 5, "default", "full"),
    ]


def test_shards_are_disjoint_and_whole():
    """Three shards together are the plan, and no scene is split."""
    known = config()
    plan = Plan(("a", "b"), range(4), (known.scene("default"),), known.chosen((), ("table2",)))
    parts = [[e.key for e in plan.episodes(Shard(i, 3))] for i in (1, 2, 3)]
    assert sorted(sum(parts, [])) == sorted(e.key for e in plan.episodes())
    scenes = [{key[:3] for key in part} for part in parts]
    assert not (scenes[0] & scenes[1] or scenes[1] & scenes[2] or scenes[0] & scenes[2])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", ""])
def test_wrong_shards_are_refused(text):
    """A shard is i/n with i from 1 to n."""
    with pytest.raises(ConfigError, match="shard is"):
        Shard.parse(text)


def test_plans_of_nothing_are_refused():
    """An empty list and seeds out of range are named."""
    known = config()
    scenes, conditions = (known.scene("default"),), known.chosen(("full",), ())
    for arguments, message in (
        (((), range(1), scenes, conditions), "tasks is empty"),
        ((("a",), range(1), scenes, ()), "conditions is empty"),
        ((("a",), range(0), scenes, conditions), "episodes is 0"),
        ((("a",), range(-1, 3), scenes, conditions), "allowed: 0 to"),
    ):
        with pytest.raises(ConfigError, match=message):
            Plan(*arguments)
