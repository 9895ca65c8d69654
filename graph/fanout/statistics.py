"""What the fan-out counts of itself."""

from dataclasses import dataclass


@dataclass(slots=True)
class Statistics:
    """Counted since the start of the process."""

    executions: int = 0
    deliveries: int = 0
    lags: int = 0
