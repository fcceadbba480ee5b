"""How every client of ours finds the broker: the one place that turns settings into options."""

from typing import Any

from streams.settings import Settings


def client_options(settings: Settings) -> dict[str, Any]:
    """Return what aiokafka's admin clients, consumers and producers take alike."""
    return {"bootstrap_servers": list(settings.kafka_bootstrap_servers)}
