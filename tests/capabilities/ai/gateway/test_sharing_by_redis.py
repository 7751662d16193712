"""Where limits are shared by Redis: what is said where its driver is not installed."""

import sys

import pytest

from datareeve.capabilities.ai.gateway import sharing
from datareeve.core.errors import BadInput
from datareeve.core.estate_gateway import GatewaySettings


def test_a_driver_that_is_not_installed_is_told_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datareeve.systems.lease_pool_redis", None)
    with pytest.raises(BadInput) as told:
        sharing._redis(GatewaySettings(shared="redis://127.0.0.1/0"), "gw-1", lambda _: None)
    assert (told.value.code, told.value.remedy) == ("redis.driver", "pip install 'datareeve[redis]'")
    assert sharing._redis(GatewaySettings(), "gw-1", lambda _: None) is None
