"""A Ray cluster on this machine, told what to do on standard input: python cluster.py HEAD_CPUS NODE_CPUS...

Answers a JSON line to each command: address; remove N (the process of a node dies); facts (nodes, jobs, actors).
"""

from __future__ import annotations

import json
import os
import sys

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}

from ray.cluster_utils import Cluster

STORE = 80 * 2**20


def main() -> None:
    head, *others = map(int, sys.argv[1:])
    arguments = {"num_cpus": head, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    nodes = [cluster.add_node(num_cpus=cpus, object_store_memory=STORE) for cpus in others]
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "remove":
            cluster.remove_node(nodes[int(rest[0])], allow_graceful=False)
        state = cluster.global_state
        alive = sum(node["Alive"] for node in state.node_table())
        jobs = [job for job in state.job_table() if "_ray_internal" not in str(job)]
        facts = {"nodes": alive, "jobs": len(jobs), "actors": len(state.actor_table(None))}
        print(json.dumps({"address": cluster.address, **facts}), flush=True)
    cluster.shutdown()


main()
