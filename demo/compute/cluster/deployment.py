"""Starts the replicas that a page with GRADCAM_BACKEND=ray needs.

On a Ray of its own, which only this machine can reach, or on the cluster of RAY_ADDRESS. Stays in
the foreground.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import time
from types import FrameType
from typing import Any

from demo.compute.cluster.connection import LOOPBACK, init_arguments, set_environment
from demo.compute.cluster.messages import APPLICATION
from demo.settings import Settings, read_settings, variables_help
from gradcam_core.errors import BackendError, NetworkError, SettingsError
from gradcam_core.models.custom import register_all, registered
from gradcam_core.models.custom.description import add_network_arguments
from gradcam_core.models.registry import default_classifiers
from gradcam_core.system.terminal import OneLineParser, make_printing_safe

_HEALTH_INTERVAL_S = 2.0  # a dead replica is replaced this soon
_HEALTH_TIMEOUT_S = 60.0  # a large pass may keep a replica from answering
_SHUTDOWN_TIMEOUT_S = 5
_LOOK_EVERY_S = 0.1  # for a signal


def start(settings: Settings, replica: type | None = None) -> str:
    """Starts the replicas and returns the address of their cluster once they are ready. replica: a
    class to use in place of `Replica`.

    Raises Ray's own errors.
    """
    replicas, threads, address = settings.replicas, settings.threads, settings.ray_address
    set_environment(address or LOOPBACK)
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions, ProxyLocation, RequestRouterConfig

    if address:
        ray.init(**init_arguments(address))
    else:
        ray.init(
            "local",  # otherwise Ray would join a cluster that already runs on this machine
            num_cpus=replicas * threads,
            namespace=APPLICATION,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        address = ray.get_runtime_context().gcs_address
    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    serve.start(http_options=HTTPOptions(location=ProxyLocation.Disabled))
    from demo.compute.cluster.router import Affinity

    router: Any = Affinity  # Ray's annotation says that this is a dictionary
    deployment: Any = serve.deployment(replica or _default_replica())
    options: dict[str, Any] = {
        "num_replicas": replicas,
        "max_ongoing_requests": 1000,
        "ray_actor_options": {"num_cpus": threads},
        "request_router_config": RequestRouterConfig(request_router_class=router),
        "health_check_period_s": _HEALTH_INTERVAL_S,
        "health_check_timeout_s": _HEALTH_TIMEOUT_S,
        "graceful_shutdown_timeout_s": _SHUTDOWN_TIMEOUT_S,
        "logging_config": {"enable_access_log": False, "log_level": "WARNING"},
    }
    app = deployment.options(**options).bind(
        replicas,
        threads,
        settings.memory_bytes,
        list(default_classifiers()),
        list(registered()),
    )
    serve.run(app, name=APPLICATION, route_prefix=None)
    return address


def _default_replica() -> type:
    from demo.compute.cluster.replica import Replica

    return Replica


def run(replica: type | None = None) -> None:
    """Starts the replicas, prints how to use them, and stops them on Ctrl-C or SIGTERM."""
    try:
        settings = read_settings()
        address = start(settings, replica)
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        sys.exit("This needs Ray: pip install -r requirements-ray.txt")
    except (BackendError, SettingsError, ConnectionError, ValueError) as error:
        sys.exit(f"The replicas cannot start: {error}")
    received: list[int] = []  # no threading.Event: its lock may be held where the signal comes in

    def stop(number: int, frame: FrameType | None) -> None:
        received.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print("The replicas are ready. Start the page, in another terminal, with\n")
    print(f"    GRADCAM_BACKEND=ray RAY_ADDRESS={address} make run\n")
    print("Ctrl-C stops them.", flush=True)
    while not received:
        time.sleep(_LOOK_EVERY_S)
    _take_down(is_own=not settings.ray_address)


def _take_down(is_own: bool) -> None:
    import ray
    from ray import serve

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C
    if not is_own:
        serve.delete(APPLICATION)
    ray.shutdown()  # also ends the Ray that this process has started


def main() -> None:
    make_printing_safe()
    parser = OneLineParser(
        prog="python -m demo.serve_cluster",
        description=__doc__,
        epilog=variables_help("ray_address", "replicas", "threads", "memory_bytes"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_network_arguments(parser)
    options = parser.parse_args()
    try:
        register_all(options.network, options.networks, classes_only=True)
    except NetworkError as error:
        sys.exit(f"The replicas cannot start: {error}")
    run()
