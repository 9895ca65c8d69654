"""How long clients of the live feed are waited for."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """`init`: until connection_init has come. `heartbeat`: between signs of life on a stream,
    since proxies end what is silent for long. `send`: who takes nothing for this long is cut off.
    """

    init_seconds: float = 10.0
    heartbeat_seconds: float = 12.0
    send_seconds: float = 15.0


DEFAULT_PATIENCE = Patience()
