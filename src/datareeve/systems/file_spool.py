"""What a load writes for itself while it reads: unpacked and decoded copies, rows that were told apart. Bounded, and removed at its end."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

MOST_BYTES = 4 * 2**30  # of copies that are kept beside the newest


class FileSpool:
    """A folder of a load's own."""

    def __init__(self, base: Path | None = None) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="datareeve-files-", dir=base))
        self._number = 0
        self._copies: list[Path] = []

    def path(self, ending: str) -> Path:
        """A new name."""
        self._number += 1
        return self._folder / f"{self._number}{ending}"

    def keep(self, copy: Path) -> None:
        """A copy is there: the oldest ones go where there are too many bytes."""
        self._copies.append(copy)
        sizes = {path: path.stat().st_size for path in self._copies if path.exists()}
        while len(sizes) > 1 and sum(sizes.values()) > MOST_BYTES:
            oldest = next(iter(sizes))
            oldest.unlink(missing_ok=True)
            del sizes[oldest]
        self._copies = list(sizes)

    def close(self) -> None:
        """Remove it all."""
        shutil.rmtree(self._folder, ignore_errors=True)
