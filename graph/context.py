"""What resolvers share during one operation or one event."""

from dataclasses import dataclass, field

from strawberry.types import Info

from graph.loaders import Loaders
from monitor.acts import Actor
from monitor.auth import Principal
from monitor.monitor import Monitor
from monitor.reading.details import Budget


@dataclass(slots=True)
class Context:
    """Made anew for every operation and every event: its loaders remember what they loaded.

    `actor`: on whose behalf its mutations are. `feed_cursor` is taken before anything else is read,
    when the operation asks for it.
    `shown`: details in the answer, each as often as it is there. `asked`: see `details_asked`.
    """

    monitor: Monitor
    principal: Principal
    loaders: Loaders
    actor: Actor | None = None
    feed_cursor: str = ""
    shown: Budget = field(default_factory=Budget)
    asked: dict[tuple[object, ...], int] = field(default_factory=dict)

    def renew_loaders(self) -> None:
        """Forgets what was loaded: a mutation's next root field must see the last one's work."""
        self.loaders = Loaders.of(self.monitor, self.loaders.details)


GraphInfo = Info[Context, object]
