"""Cameras behind one small interface: V4L2 device, video file, image folder, the twin."""
