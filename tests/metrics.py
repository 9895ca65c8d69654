"""What /metrics says, to be looked at."""

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "process_monitor_"
# Name and values of labels.
Samples = dict[tuple[str, ...], float]


def read(text: str) -> Samples:
    """The figures without what they are for."""
    return {
        (sample.name.removeprefix(PREFIX), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def totals(samples: Samples) -> Samples:
    """Those that only grow."""
    ends = ("_total", "_count", "_sum", "_bucket")
    return {key: value for key, value in samples.items() if key[0].endswith(ends)}
