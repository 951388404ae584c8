"""ROS 2 nodes: declare parameters, convert messages, delegate to the library."""
