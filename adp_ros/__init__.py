"""OpenVLA-OFT policies, accelerated by Action-aware Dynamic Pruning, on a Kinova Jaco2.

Importing this package imports nothing heavy: neither rclpy nor torch nor cv2.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"
