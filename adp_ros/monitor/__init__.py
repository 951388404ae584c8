"""What is going on, at a glance: one view model for the terminal and for rqt."""
