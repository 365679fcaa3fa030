"""Which addresses of a Ray cluster are taken, and what is said of the others before anything starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from prismhouse.server.adapters import ExtraMissing, check_adapters
from prismhouse.settings import ComputeSettings, Settings
from prismhouse.storage.compute.ray import RayAddressRefused
from prismhouse.storage.compute.ray.place import host_and_port


def settings(**fields: Any) -> Settings:
    return Settings(compute=ComputeSettings(kind="ray", **fields))


@pytest.mark.parametrize(
    "address", ["ray://head:10001", "http://head:8265", "head", "head:", ":6379", "head:0", "a:99999"]
)
def test_an_address_that_no_driver_can_join_is_refused_when_it_is_set(address, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", sys)

    with pytest.raises(RayAddressRefused, match="PRISMHOUSE_COMPUTE__RAY_ADDRESS"):
        check_adapters(settings(ray_address=address))


def test_the_package_is_named_when_it_is_not_installed(monkeypatch):
    monkeypatch.setattr("prismhouse.server.adapters.find_spec", lambda name: None)

    with pytest.raises(ExtraMissing, match=r"prismhouse\[ray\]"):
        check_adapters(settings())


def test_a_cluster_is_found_when_this_machine_is_a_node(tmp_path: Path):
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.0.0.1:6379\n")
    noted = {"RAY_TMPDIR": str(tmp_path)}

    assert host_and_port("auto", noted) == ("10.0.0.1", 6379)
    assert host_and_port("auto", {**noted, "RAY_ADDRESS": "head:7000"}) == ("head", 7000)
    assert host_and_port("[::1]:6379", noted) == ("::1", 6379)
    assert host_and_port("auto", {"RAY_TMPDIR": str(tmp_path / "none")}) is None
