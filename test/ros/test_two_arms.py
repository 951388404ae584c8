"""Two arms in one ROS domain, each under its robot_name, and names that are refused."""

import os

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("adp_ros.msg")

from two_arms import one_round, start_both, two_arms

from adp_ros.errors import ConfigError
from adp_ros.ros.arm_claim import ArmClaim
from adp_ros.ros.arm_name import check_robot_name, namespace
from adp_ros.ros.launch_arguments import resolve_settings
from adp_ros.ros.launch_table import node_table
from adp_ros.settings import share_directory


def test_two_arms_in_one_domain_do_not_hear_each_other(tmp_path, monkeypatch):
    """One is started, stopped, homed and started again while the other runs, and never feels it."""
    monkeypatch.setenv("ROS_DOMAIN_ID", str(20 + os.getpid() % 80))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    with two_arms(tmp_path) as pair:
        start_both(pair)
        one_round(pair)
        assert pair.foreign_names() == []


@pytest.mark.parametrize("name", ["left arm", "3left", "a/b", "ä", "a__b", "a_", "_a", "a-b", "~"])
def test_odd_names_are_refused_at_start(name):
    """Name, value and what is allowed, before anything starts."""
    with pytest.raises(ConfigError, match=f"robot_name is '{name}', allowed: letters, digits"):
        resolve_settings({"robot_name": name}, share_directory(os.environ))


def test_name_of_another_kind_of_arm_is_refused():
    """It would stand for that arm's plain names."""
    with pytest.raises(ConfigError, match="robot_name is 'j2n6s200' with robot_type:=j2n6s300"):
        check_robot_name("j2n6s200", "j2n6s300")


def test_default_is_the_robot_type_with_plain_names():
    """Without a robot_name nothing has a namespace; with one everything has."""
    share = share_directory(os.environ)
    plain = resolve_settings({}, share)
    assert (plain.robot_name, namespace(plain.robot_name)) == (plain.robot_type, "")
    named = resolve_settings({"robot_name": "left"}, share)
    for settings, place in ((plain, ""), (named, "/left")):
        table = node_table(settings, share, share)
        assert [spec.namespace for spec in table] == [place] * len(table)
        for spec in table:
            assert (f"__ns:={place}" in spec.ros_arguments()) == bool(place)


def test_parameters_of_the_file_reach_a_node_in_a_namespace():
    """ROS looks a node up by its full name, which the file does not have; so they are spelt out."""
    share = share_directory(os.environ)
    table = node_table(resolve_settings({"robot_name": "left"}, share), share, share)
    words = next(s for s in table if s.name == "controller_node").ros_arguments()
    assert "--params-file" not in words
    assert "torque.stop:=[4.0, 6.0, 4.0, 2.0, 2.0, 1.5]" in words
    assert "robot_type:='j2n6s300'" in words


def test_arms_of_two_kinds_with_plain_names_are_one_too_many():
    """Their services would have the same names: one start moved both."""
    domain = 120 + os.getpid() % 80
    with ArmClaim(domain, "j2n6s300"), ArmClaim(domain, "left"):
        with pytest.raises(ConfigError, match="another launch"):
            ArmClaim(domain, "j2n6s200")
        with pytest.raises(ConfigError, match="another launch"):
            ArmClaim(domain, "left")
