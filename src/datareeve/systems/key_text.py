"""The text of a provider's key, before it stands in a header: where it is read, sealed or sent, it is looked at in the same way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from datareeve.core.secrets import Secret

VISIBLE = re.compile(r"[\x21-\x7e]{1,8192}")


def checked_key(secret: Secret) -> Secret:
    """The same secret, when it can stand in a header. Errors: `BadInput` `key.malformed`, never with the text."""
    if VISIBLE.fullmatch(secret.reveal()) is None:
        raise BadInput(
            "key.malformed",
            "What stands there is no API key: it holds a space, a line break or a sign outside ASCII.",
            "Put the key alone there, on one line.",
        )
    return secret
