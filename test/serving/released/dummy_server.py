"""vla-eval's own model-server class with a policy that returns what it saw; prints its port."""

import sys

import anyio
import numpy as np
from vla_eval.model_servers.predict import PredictModelServer
from vla_eval.model_servers.serve import serve_async
from vla_eval.specs import RAW


class Dummy(PredictModelServer):
    """Whole chunks: the state and the picture's mean, again and again."""

    def get_action_spec(self):
        return {"raw": RAW}

    def get_observation_spec(self):
        return {"raw": RAW}

    def predict(self, obs, ctx):
        seen = np.append(obs["states"], obs["images"]["front"].mean())
        return {"actions": np.resize(seen, (8, 7)).astype(np.float32)}


async def main():
    """Serve until the process ends."""
    async with anyio.create_task_group() as group:
        port = await group.start(serve_async, Dummy(), "127.0.0.1", 0)
        sys.stdout.write(f"port {port}\n")
        sys.stdout.flush()
        await anyio.sleep_forever()


anyio.run(main)
