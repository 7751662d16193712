"""The AI gateway as the control plane sees it: the built-in system `gateway`, in its parts.

Secrets come in by reference and are sealed at once; of keys only ids, states and times go out.
"""

from __future__ import annotations

from datareeve.systems.gateway_following import Following
from datareeve.systems.gateway_prompts import KeptPrompts
from datareeve.systems.gateway_provider_keys import ProviderKeys
from datareeve.systems.gateway_replay import Replays
from datareeve.systems.gateway_seal import Seal
from datareeve.systems.gateway_usage import UsageReads
from datareeve.systems.gateway_virtual_keys import VirtualKeys


class GatewayControl(ProviderKeys, Seal, VirtualKeys, Replays, KeptPrompts, Following, UsageReads):
    """Keys of providers, virtual keys, running processes, what was used, prompts that were kept, and replays of them."""

    kind = "gateway"
