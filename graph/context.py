"""What resolvers share during one operation or one event."""

from dataclasses import dataclass

from strawberry.types import Info

from graph.loaders import Loaders
from monitor.auth import Principal
from monitor.monitor import Monitor


@dataclass(slots=True)
class Context:
    """Made anew for every operation and every event: its loaders remember what they loaded.

    `feed_cursor` is taken before anything else is read, when the operation asks for it.
    """

    monitor: Monitor
    principal: Principal
    loaders: Loaders
    feed_cursor: str = ""

    def renew_loaders(self) -> None:
        """Forgets what was loaded: a mutation's next root field must see the last one's work."""
        self.loaders = Loaders(self.monitor.database)


GraphInfo = Info[Context, object]
