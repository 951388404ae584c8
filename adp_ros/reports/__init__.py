"""What people look at: page, terminal, video, plots."""
