"""Chooses the replica of a request: the one that holds the photo's pass, otherwise the one with the
least to do. Serve runs this in the page's process."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from typing import Any

import cachetools
from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica

HOMES = 30_000
"""Pairs of photo and network whose replica is remembered."""

alive: set[ReplicaID] = set()
"""The replicas known to be running."""


class Affinity(RequestRouter):
    """Replaces Serve's routing by the id of a multiplexed model, which learns too late what a
    replica holds: a visitor may ask for another class before that."""

    def initialize_state(self, **kwargs: Any) -> None:
        self._homes: cachetools.LRUCache[Hashable, ReplicaID] = cachetools.LRUCache(HOMES)
        self._turns = itertools.count()
        self._last: dict[ReplicaID, int] = {}

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        request = pending_request.args[0] if pending_request and pending_request.args else None
        home, attempt = getattr(request, "home", None), getattr(request, "attempt", 0)
        by_id = {replica.replica_id: replica for replica in candidate_replicas}
        if not by_id:
            return []
        known = self._homes.get(home)
        if known in by_id and not attempt:
            return [[by_id[known]]]
        # A replica that has just failed may not be known to be dead yet.
        others = [one for one in by_id if one != known] or list(by_id)
        chosen = min(others, key=self._load)
        self._last[chosen] = next(self._turns)
        if home is not None:
            self._homes[home] = chosen
        return [[by_id[chosen]]]

    def _load(self, replica: ReplicaID) -> tuple[int, int]:
        # A request routed a moment ago may not be counted yet.
        return self.replica_queue_len_cache.get(replica) or 0, self._last.get(replica, -1)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        super().update_replicas(replicas)
        self._note_alive()

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        super().on_replica_actor_died(replica_id)
        self._note_alive()

    def _note_alive(self) -> None:
        alive.clear()
        alive.update(self.curr_replicas)
        self._last = {one: turn for one, turn in self._last.items() if one in alive}
