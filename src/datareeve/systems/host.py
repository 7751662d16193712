"""This machine: cores, memory, disks, programs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from datareeve.systems.adapter import Adapter, reads


class Host(Adapter):
    """The machine that Datareeve runs on."""

    kind = "host"

    def __init__(self) -> None:
        super().__init__("host")

    @reads
    def size(self) -> dict[str, Any]:
        """Memory in bytes and cores, as this process may use them (a container's limit counts); storage is 'ssd' or 'disk'."""
        import psutil  # noqa: PLC0415 - of what is asked here, only this needs it

        return {
            "memory_bytes": min(psutil.virtual_memory().total, _cgroup_memory()),
            "cores": len(os.sched_getaffinity(0)),
            "storage": _storage(),
        }

    @reads
    def disk(self, path: str) -> dict[str, Any]:
        """Bytes in all, used and free, on the file system of a path (or of its nearest folder that exists)."""
        where = next(folder for folder in (Path(path), *Path(path).resolve().parents) if folder.exists())
        usage = shutil.disk_usage(where)
        return {"total_bytes": usage.total, "used_bytes": usage.used, "free_bytes": usage.free}

    @reads
    def program(self, name: str) -> str | None:
        """The full path of a program, None where it is not installed. Looks in sbin too, where Debian keeps servers."""
        return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def _cgroup_memory() -> int:
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else "max"
    return int(text) if text.isdigit() else 2**62


def _storage() -> str:
    flags = [
        flag.read_text().strip()
        for flag in Path("/sys/block").glob("*/queue/rotational")
        if not flag.parts[3].startswith(("loop", "ram", "zram"))
    ]
    return (
        "disk"
        if flags and all(flag == "1" for flag in flags) and not Path("/sys/block/vda").exists()
        else "ssd"
    )
