"""What another package adds to adp_ros."""
