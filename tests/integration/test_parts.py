"""The parts that other tests stand on are what they say they are."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.parts import base_image, network, ports
from tests.parts.registry import registry


@pytest.mark.registry
def test_the_registry_wants_the_password(tmp_path: Path) -> None:
    with registry(tmp_path) as served, pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"http://{served.host}/v2/_catalog")


@pytest.mark.docker
@pytest.mark.registry
def test_the_base_image_can_be_pushed_and_has_the_python_of_its_name(tmp_path: Path) -> None:
    name = base_image.ensure("3.11")
    version = subprocess.run(
        ["docker", "run", "--rm", name, "python", "--version"], capture_output=True, text=True
    )
    assert version.stdout.startswith("Python 3.11."), version.stderr
    with registry(tmp_path) as served:
        there = base_image.push("3.11", served)
        assert there.startswith(served.host)
        manifest = served.manifest("docker/library/python", "3.11-slim")
        assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
        assert served.tags("docker/library/python") == ["3.11-slim"]


def test_ports_that_servers_are_told_are_none_that_the_system_gives() -> None:
    lowest = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not lowest.exists():
        pytest.skip("only Linux says which ports it gives")
    told = [ports.free_port() for _ in range(100)]
    assert max(told) < int(lowest.read_text().split()[0])
    assert len(set(told)) == len(told)


@pytest.mark.skipif(not network.possible(), reason="only root may make a network")
def test_a_network_of_its_own_has_a_loopback_and_ends_with_the_block() -> None:
    machines = socket.if_nameindex()
    with network.own_network():
        assert [name for _, name in socket.if_nameindex()] == ["lo"]
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname()).close()
    assert socket.if_nameindex() == machines
