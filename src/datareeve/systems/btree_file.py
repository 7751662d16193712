"""Files of a server that is down, given a length they have no content for, and B-trees given the height they would have.

The planner asks a B-tree's metapage for the tree's height: an empty tree has none. Below the metapage stands one page a level, each with
one pointer down, and an empty leaf: a scan that the planner makes to learn a column's extremes ends there, and finds nothing.
Source: PostgreSQL's storage/bufpage.h, access/nbtree.h, storage/smgr/md.c (segments of 1 GB).
"""

from __future__ import annotations

import os
import pwd
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PAGE = 8192
SEGMENT = 131072 * PAGE
HEADER = 24
SPECIAL = PAGE - 16
LAYOUT = PAGE | 4  # page size and layout version
LEAF, ROOT = 1, 2
ROOT_PLACE = HEADER + 8  # within the metapage: root, level, fast root, fast level


@dataclass(frozen=True, slots=True)
class FileWanted:
    """The length a relation's file gets; `height`: levels above the leaves, for a B-tree."""

    bytes: int
    height: int | None = None


def set_length(path: Path, wanted: FileWanted, os_user: str | None) -> None:
    """Extend a relation's file, in segments, without taking disk. A shorter one is never made."""
    size = max(wanted.bytes // PAGE * PAGE, path.stat().st_size)
    if wanted.height is not None:
        size = max(size, (wanted.height + 2) * PAGE)
    number = 0
    while size > 0:
        segment = path if number == 0 else path.with_name(f"{path.name}.{number}")
        _extend(segment, min(size, SEGMENT), os_user)
        size, number = size - SEGMENT, number + 1
    if wanted.height is not None:
        _raise_tree(path, wanted.height)


def _extend(path: Path, size: int, os_user: str | None) -> None:
    with path.open("ab") as file:
        if file.tell() < size:
            file.truncate(size)
    path.chmod(0o600)
    if os_user is not None and os.geteuid() == 0:
        entry = pwd.getpwnam(os_user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def _raise_tree(path: Path, height: int) -> None:
    """Write a root, one page for each level under it, and an empty leaf, into the blocks after the metapage."""
    with path.open("r+b") as file:
        for level in range(height, -1, -1):
            block = 1 + height - level
            file.seek(block * PAGE)
            file.write(_page(level, below=block + 1, is_root=level == height))
        file.seek(ROOT_PLACE)
        file.write(struct.pack("<IIII", 1, height, 1, height))


def _page(level: int, *, below: int, is_root: bool) -> bytes:
    """A B-tree page with one pointer to the block below, or none on a leaf."""
    page = bytearray(PAGE)
    lower, upper = HEADER, SPECIAL
    if level > 0:
        # The first entry of an inner page has no key: it stands for everything smaller. Its tuple is a header with the block's number.
        lower, upper = HEADER + 4, SPECIAL - 8
        struct.pack_into("<I", page, HEADER, upper | 1 << 15 | 8 << 17)
        # t_tid: block number as two halves, then the number of attributes (none); t_info: a pivot tuple of 8 bytes.
        struct.pack_into("<HHHH", page, upper, below >> 16, below & 0xFFFF, 0, 8 | 0x2000)
    struct.pack_into("<QHHHHHHI", page, 0, 0, 0, 0, lower, upper, SPECIAL, LAYOUT, 0)
    flags = (LEAF if level == 0 else 0) | (ROOT if is_root else 0)
    struct.pack_into("<IIIHH", page, SPECIAL, 0, 0, level, flags, 0)
    return bytes(page)
