"""What a picture costs in tokens, by its size where its first bytes tell it, else the most that its provider charges.

OpenAI: https://platform.openai.com/docs/guides/images-vision#calculating-costs (85 for low detail; else 85 and 170 for each tile of
512 pixels, after scaling into 2048 x 2048 and to 768 on the shorter side). Anthropic:
https://docs.anthropic.com/en/docs/build-with-claude/vision#calculate-image-costs (width x height / 750, at most about 1,600).
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOW: Final = 85
TILE: Final = 170
MOST_OPENAI: Final = 85 + 170 * 8  # 2048 x 768: two by four tiles
MOST_ANTHROPIC: Final = 1600
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {
    0xC4,
    0xC8,
    0xCC,
}  # markers of a frame; the others in between are tables
_HEAD: Final = 4096  # characters of base64 that are looked at: a JPEG tells its size after its tables


def openai(part: Mapping[str, Any]) -> int:
    """Tokens of a part `image_url` (chat) or `input_image` (responses)."""
    inner = part.get("image_url")
    inner = inner if type(inner) is dict else part
    url = inner.get("url", part.get("image_url"))
    if inner.get("detail", part.get("detail")) == "low":
        return LOW
    size = _size(url.partition(",")[2]) if type(url) is str and url.startswith("data:") else None
    return _tiles(*size) if size else MOST_OPENAI


def anthropic(part: Mapping[str, Any]) -> int:
    """Tokens of a part `image`."""
    source = part.get("source")
    data = source.get("data") if type(source) is dict else None
    size = _size(data) if type(data) is str else None
    return min(MOST_ANTHROPIC, -(-size[0] * size[1] // 750)) if size else MOST_ANTHROPIC


RULES: Final[Mapping[str, Callable[[Mapping[str, Any]], int]]] = {"openai": openai, "anthropic": anthropic}


def _tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    across, down = (-(-int(side * scale) // 512) or 1 for side in (width, height))
    return LOW + TILE * across * down


def _size(data: str) -> tuple[int, int] | None:
    """Width and height in pixels of a picture in base64, from its header; None where it does not tell."""
    try:
        head = base64.b64decode(data[: min(len(data), _HEAD) & ~3].encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        return None
    size = None
    if head.startswith(b"\x89PNG") and len(head) >= 24:  # noqa: PLR2004 - where IHDR ends
        size = struct.unpack(">II", head[16:24])
    elif head.startswith(b"GIF8") and len(head) >= 10:  # noqa: PLR2004
        size = struct.unpack("<HH", head[6:10])
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg(head)
    return (size[0], size[1]) if size and size[0] and size[1] else None


def _jpeg(head: bytes) -> tuple[int, int] | None:
    """From the first frame header (ISO/IEC 10918-1, B.2.2)."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:  # noqa: PLR2004 - a marker
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4])
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None
