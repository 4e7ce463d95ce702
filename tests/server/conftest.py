"""A web of the tests' own for those that fetch pictures from it."""

from tests.support.web_fixtures import inside, network, remote, servers, web

__all__ = ["inside", "network", "remote", "servers", "web"]
