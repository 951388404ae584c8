"""ROS messages to and from the library's types."""
