"""Two episodes with the released openpi-client; runs in an environment without adp_ros."""

import sys
import time

import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy

url, sent, answers = sys.argv[1:]
data = np.load(sent)
client = WebsocketClientPolicy(url)
actions, pruned, milliseconds = [], [], []
for prompt in ("wipe the table", "place the carrot into the pan"):
    for picture, state in zip(data["pictures"], data["states"], strict=True):
        began = time.perf_counter()
        answer = client.infer(
            {"observation/image": picture, "observation/state": state, "prompt": prompt}
        )
        milliseconds.append(1e3 * (time.perf_counter() - began))
        actions.append(answer["actions"])
        pruned.append(answer["adp"]["pruned"])
refused = ""
try:
    client.infer({"observation/image": data["pictures"][0]})
except RuntimeError as error:
    refused = str(error)
np.savez(answers, actions=actions, pruned=pruned, milliseconds=milliseconds, refused=refused)
