"""The pace at which a run is played: as it was recorded, or a multiple of it."""

from __future__ import annotations

from dataclasses import dataclass

SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0)


@dataclass(frozen=True)
class Pace:
    """How fast a run is played."""

    place: int = SPEEDS.index(1.0)
    """In :data:`SPEEDS`."""

    @property
    def speed(self) -> float:
        """Recorded seconds in one second."""
        return SPEEDS[self.place]

    def changed(self, by: int) -> Pace:
        """Return a pace so many steps faster or slower."""
        return Pace(max(0, min(self.place + by, len(SPEEDS) - 1)))

    def wait(self, before: float, after: float, late: float = 0.0) -> float:
        """Return the seconds between two events.

        Args:
            before: When the first was recorded; a clock that went back counts as no time.
            after: When the second was.
            late: Seconds that the first one was shown too late; they are made good.
        """
        return max((after - before) / self.speed - late, 0.0)

    def told(self) -> str:
        """Return it in words."""
        return f"{self.speed:g}×"
