"""How a process joins a Ray cluster: the cluster's address, and the settings that Ray reads."""

from __future__ import annotations

import logging
import os
from typing import Any

from demo.compute.cluster.messages import APPLICATION
from gradcam_core.errors import BackendError
from gradcam_core.system.connections import check_listening

LOOPBACK = "127.0.0.1"

NO_ADDRESS = (
    "GRADCAM_BACKEND=ray needs RAY_ADDRESS, the address of a cluster. `make serve-cluster` starts "
    "one on this machine and prints it."
)
NOT_INSTALLED = "GRADCAM_BACKEND=ray needs Ray: pip install -r requirements-ray.txt"
NOT_THERE = "No Ray cluster with the app's replicas answers at {}. `make serve-cluster` starts one."

_FIRST_ANSWER_TIMEOUT_S = 60.0  # replicas may still load their networks

_SPARING = {
    "RAY_worker_niceness": "0",  # nothing else on this machine is more urgent
    "RAY_enable_metrics_collection": "0",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "10000",
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "1",
    "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",  # the worker has its own threads
}
"""Ray's metrics and events would take a tenth of a core, and nobody looks at them here."""


def connected_handle(address: str) -> tuple[Any, int]:
    """Serve's handle of the replicas on the cluster at this address, and their number.

    Raises BackendError if the address is empty, Ray is not installed, or no replica answers.
    """
    if not address:
        raise BackendError(NO_ADDRESS)
    try:
        check_listening(address)
    except OSError as error:
        raise BackendError(NOT_THERE.format(address)) from error
    set_environment(address)
    try:
        import ray
        from ray import serve
    except ModuleNotFoundError as error:
        raise BackendError(NOT_INSTALLED) from error
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        ray.init(**init_arguments(address))
        logging.getLogger("ray.serve").setLevel(logging.ERROR)
        handle: Any = serve.get_app_handle(APPLICATION)
        return handle, handle.replicas.remote().result(timeout_s=_FIRST_ANSWER_TIMEOUT_S)
    except Exception as error:  # Ray's, of which there are many kinds
        raise BackendError(NOT_THERE.format(address)) from error


def init_arguments(address: str) -> dict[str, Any]:
    """The arguments of `ray.init` for a process that computes nothing."""
    return {
        "address": address,
        "namespace": APPLICATION,
        "log_to_driver": False,
        "configure_logging": False,
    }


def set_environment(address: str) -> None:
    """Sets the environment variables that Ray reads when it is imported."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address.rpartition(":")[0] == LOOPBACK or address == LOOPBACK:
        # Makes Ray listen to this machine alone, on Linux too: otherwise it replaces the node
        # address 127.0.0.1 with the one that others can reach (`resolve_ip_for_localhost`).
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        for name, value in _SPARING.items():
            os.environ.setdefault(name, value)
        # A cluster on this machine requires the token that Ray keeps for this user, or the one in
        # RAY_AUTH_TOKEN, so that no other user can run anything on it.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
