"""Refine on a cluster of two machines, of which one is lost after some seconds, then another: a program of its own.

Arguments: folder of poses, folder of photos, folder for outputs, seconds until the loss in each run. Prints a line of
JSON after each.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from tests.bulk.busy import LIGHT, be_patient, begun

from posefix.bulk.cluster import Fleet
from posefix.bulk.run import Standing, run
from posefix.bulk.settings import Model, Settings

MEMORY = 80 * 2**20


def main() -> None:
    poses, photos, outputs, *pauses = sys.argv[1:]
    be_patient()
    from ray.cluster_utils import Cluster

    node: dict[str, Any] = {"num_cpus": 1, "object_store_memory": MEMORY}
    cluster: Any = begun(lambda: Cluster(initialize_head=True, head_node_args=node | LIGHT))
    for number, pause in enumerate(map(float, pauses)):
        other = begun(lambda: cluster.add_node(**node))
        refine_and_lose(cluster, other, (poses, photos, f"{outputs}/out{number}"), pause)
    cluster.shutdown()


def refine_and_lose(cluster: Any, other: Any, places: tuple[str, str, str], pause: float) -> None:
    """One run, in which one machine is lost."""
    poses, photos, out = places
    begun, ended = threading.Event(), threading.Event()
    lost_at_work: list[bool] = []

    def lose() -> None:
        begun.wait()
        time.sleep(pause)
        lost_at_work.append(not ended.is_set())
        cluster.remove_node(other, allow_graceful=False)

    def on_standing(standing: Standing) -> None:
        if standing.workers:
            begun.set()

    thread = threading.Thread(target=lose)
    thread.start()
    settings = Settings(out=out, images=photos, model=Model(model="identity"), layout="coco17")
    report = run([poses], settings, Fleet(address=cluster.address, workers=2), on_standing=on_standing)
    ended.set()
    begun.set()
    thread.join()
    machines = len(cluster.list_all_nodes())
    told = {"aside": report.aside, "units": report.units, "machines": machines, "at work": lost_at_work[0]}
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
