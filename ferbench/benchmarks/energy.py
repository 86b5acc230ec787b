"""Energy of the processor's packages, where the kernel shows its counters (Linux powercap: Intel, AMD); never a guess.

Runs in the latency worker, so only the standard library is imported.

References
----------
"Power Capping Framework", the Linux kernel's documentation, ``power/powercap/powercap.rst``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["POWERCAP", "EnergyMeter"]

POWERCAP = Path("/sys/class/powercap")

# Packages only: sub-zones (intel-rapl:0:0, cores) are part of them, and intel-rapl-mmio:0 is the same counter again.
_ZONE = re.compile(r"intel-rapl:\d+")


@dataclass(frozen=True)
class _Counter:
    name: str
    microjoules: int
    wraps_at: int


class EnergyMeter:
    """Joules between :meth:`start` and :meth:`stop`.

    A counter counts all that its package does, other programs and idling included.

    Parameters
    ----------
    root : Path
        Folder of the kernel's powercap zones.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self.root = root
        self.source = ""
        self._before: list[_Counter] = []

    def start(self) -> None:
        """Read the counters; :attr:`source` says which, or why there are none."""
        self._before = self._read()

    def stop(self) -> float | None:
        """Joules since :meth:`start`; None where the kernel shows no counter."""
        before, after = self._before, self._read()
        if not before or [c.name for c in before] != [c.name for c in after]:
            return None
        # A counter begins anew at its maximum: once at most, since that takes minutes at full load.
        spent = ((a.microjoules - b.microjoules) % (b.wraps_at + 1) for b, a in zip(before, after, strict=True))
        return sum(spent) / 1e6

    def _read(self) -> list[_Counter]:
        zones = (
            sorted(p for p in self.root.glob("intel-rapl:*") if _ZONE.fullmatch(p.name)) if self.root.exists() else []
        )
        counters = []
        try:
            for zone in zones:
                name = (zone / "name").read_text().strip()
                if name.startswith("package"):
                    energy, limit = ((zone / f).read_text() for f in ("energy_uj", "max_energy_range_uj"))
                    counters.append(_Counter(name, int(energy), int(limit)))
        except PermissionError as error:
            self.source = f"not readable: {error.filename} is for root only"
            return []
        except (OSError, ValueError) as error:
            self.source = f"not readable: {error}"
            return []
        self.source = (
            f"RAPL, {', '.join(c.name for c in counters)}"
            if counters
            else f"not exposed: this kernel shows no RAPL package under {self.root}"
        )
        return counters
