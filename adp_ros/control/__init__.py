"""The controller without ROS: chunks in time, velocities, envelope, torque stop. numpy only.

A software stop like this one is not a safety-rated stop.
"""
