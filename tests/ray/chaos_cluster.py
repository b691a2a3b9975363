"""Several Ray nodes on this machine, for as long as standard input is open.

Prints the address. The head has no CPUs; each worker node has as many as there are numbers in
``sys.argv``. A line on standard input adds a node with that number of CPUs, and is answered.
"""

import sys

import ray
from ray.cluster_utils import Cluster

BYTES = 80_000_000


def main():
    cluster = Cluster()
    cluster.add_node(num_cpus=0, object_store_memory=BYTES, include_dashboard=False)
    for cpus in sys.argv[1:]:
        cluster.add_node(num_cpus=int(cpus), object_store_memory=BYTES)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        cluster.add_node(num_cpus=int(line), object_store_memory=BYTES)
        print("added", flush=True)
    cluster.shutdown()
    assert not ray.is_initialized()


if __name__ == "__main__":
    main()
