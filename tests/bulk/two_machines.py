"""Refine on a cluster of two machines, one of which is lost after some seconds: a program, for a Ray of its own.

Arguments: folder of poses, folder of photos, output, seconds.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    RAY_raylet_start_wait_time_s="180",
    RAY_agent_register_timeout_ms="180000",
)

from ray.cluster_utils import Cluster

from posefix.bulk.cluster import Fleet
from posefix.bulk.run import Standing, run
from posefix.bulk.settings import Model, Settings


def main() -> None:
    poses, photos, out, seconds = sys.argv[1:]
    memory = 80 * 2**20
    cluster: Any = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": memory, "include_dashboard": False},
    )
    other = cluster.add_node(num_cpus=1, object_store_memory=memory)
    cluster.wait_for_nodes()
    begun = threading.Event()

    def lose() -> None:
        begun.wait()
        time.sleep(float(seconds))
        cluster.remove_node(other, allow_graceful=False)

    def on_standing(standing: Standing) -> None:
        if standing.workers:
            begun.set()

    thread = threading.Thread(target=lose)
    thread.start()
    settings = Settings(out=out, images=photos, model=Model(model="identity"), layout="coco17")
    report = run([poses], settings, Fleet(address=cluster.address, workers=2), on_standing=on_standing)
    begun.set()
    thread.join()
    print(
        json.dumps({"aside": report.aside, "units": report.units, "machines": len(cluster.list_all_nodes())})
    )
    cluster.shutdown()


if __name__ == "__main__":
    main()
