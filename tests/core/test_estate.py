"""The estate's file: what it may not hold."""

import pytest

from datareeve.core import estate
from datareeve.core.errors import BadInput

SYSTEM = "systems: {{app: {{kind: postgresql, url: '{url}'}}}}"
URLS = ["postgresql://ann:hunter2@host/db", "postgresql://ann@host/db?password=hunter2&sslmode=require"]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("text", [SYSTEM, "ledger: '{url}'"])
def test_a_password_in_any_url_is_refused_and_not_repeated(text, url):
    with pytest.raises(BadInput) as refused:
        estate.parse(text.format(url=url))
    assert "take it out" in refused.value.what
    assert "hunter2" not in str(refused.value)


def test_all_requests_together_have_room_for_the_largest():
    with pytest.raises(BadInput) as refused:
        estate.parse("gateway: {max_body_mb: 64, max_held_mb: 32}")
    assert "max_held_mb is less than max_body_mb" in refused.value.what
    assert estate.parse("gateway: {max_body_mb: 64, max_held_mb: 64}").gateway is not None


def test_a_key_in_the_wrong_place_is_not_offered_as_itself():
    with pytest.raises(BadInput, match="there is such a key, in another place"):
        estate.parse("rules: []\n")
