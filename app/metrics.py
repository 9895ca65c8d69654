"""What the product measures of itself, for Prometheus."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from graph.fanout.channels import Channels
from graph.transports.websocket import SocketEndpoint
from monitor.writing.transactions import Transactions

PREFIX = "process_monitor_"


class _Readings(Collector):
    """Reads figures when they are asked for: nothing to update, nothing to forget."""

    def __init__(self, readings: list[tuple[type[Metric], str, str, Callable[[], float]]]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        for family, name, text, read in self._readings:
            yield family(PREFIX + name, text, value=read())  # type: ignore[call-arg]  # families take a value


def create_registry(
    transactions: Transactions, channels: Channels, sockets: SocketEndpoint
) -> CollectorRegistry:
    """Gauges and counters of this server process."""
    registry = CollectorRegistry()
    told = channels.statistics
    gauge, counter = GaugeMetricFamily, CounterMetricFamily
    registry.register(
        _Readings(
            [
                (gauge, "open_sockets", "WebSockets open now", lambda: sockets.open_sockets),
                (
                    gauge,
                    "open_subscriptions",
                    "Subscriptions open now",
                    lambda: channels.open_subscriptions,
                ),
                (gauge, "channels", "Distinct subscriptions", lambda: channels.open_channels),
                (counter, "executions", "Events executed", lambda: told.executions),
                (counter, "deliveries", "Events delivered live", lambda: told.deliveries),
                (counter, "lags", "Subscribers that fell behind", lambda: told.lags),
                (counter, "commits", "Transactions committed", lambda: transactions.commits),
                (counter, "operations", "Operations committed", lambda: transactions.operations),
            ]
        )
    )
    return registry
