"""ROS 2: nodes, messages from and to the library's types, launch table. Nowhere else is ROS."""
