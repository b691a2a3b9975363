"""Machines that an autoscaler starts and ends: Ray nodes on this machine."""

import os
from unittest import mock

from ray._private.parameter import RayParams
from ray.autoscaler._private.fake_multi_node.node_provider import FakeMultiNodeProvider


class FakeMachines(FakeMultiNodeProvider):
    """Ray's own fake provider, with memory that is stated, and a folder of its own for each node.

    In a shared folder a new node would unpack the job's files over those of the running driver.
    """

    def _create_node_with_resources_and_labels(self, node_config, tags, count, resources, labels):
        rest = dict(resources)
        memory = rest.pop("memory")
        folder = os.path.join(os.environ["RAY_TMPDIR"], f"m{self._next_node_id}")

        def params(**given):
            return RayParams(**given, memory=memory, temp_dir=folder)

        with mock.patch("ray._private.parameter.RayParams", params):
            super()._create_node_with_resources_and_labels(node_config, tags, count, rest, labels)
