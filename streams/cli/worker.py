"""`ringfence worker`: from topics to alerts, until it is told to stop."""

from pathlib import Path
from typing import Annotated

import typer


def worker(
    *,
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="Brokers to ask first: host:port, comma-separated.")
    ] = None,
    rules: Annotated[
        Path | None, typer.Option(help="A folder of rule files, or one file; the catalogue.")
    ] = None,
    params: Annotated[
        Path | None, typer.Option(help="YAML file with values for the rules' parameters.")
    ] = None,
    group: Annotated[str | None, typer.Option(help="Consumer group.")] = None,
    calls_topics: Annotated[str | None, typer.Option(help="Topics of the call side.")] = None,
    transactions_topics: Annotated[
        str | None, typer.Option(help="Topics of the bank side.")
    ] = None,
    facts_topic: Annotated[str | None, typer.Option(help="Facts log, without digest.")] = None,
    alerts_topic: Annotated[str | None, typer.Option(help="Topic for alerts.")] = None,
    dead_letters_topic: Annotated[
        str | None, typer.Option(help="Topic for what was refused, and why.")
    ] = None,
    lateness: Annotated[
        str | None, typer.Option(help="How far watermarks stay behind: 15m, or 15m,calls=1h.")
    ] = None,
    settle: Annotated[
        str | None, typer.Option(help="How long records of an event count: 6h,transfer=3h.")
    ] = None,
    open_for: Annotated[
        str | None, typer.Option(help="How long an interval without an end lasts: 90m.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="Where a new group begins: earliest, latest, a moment.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="For hours and weekdays: UTC.")] = None,
    web_port: Annotated[
        int | None, typer.Option(help="Port of /healthz, /readyz and /metrics; 0 for none.")
    ] = None,
    web_host: Annotated[
        str | None, typer.Option(help="Address to open it on; in a container 0.0.0.0.")
    ] = None,
) -> None:
    """Turn the records of topics into alerts, until SIGTERM. Flags win over RINGFENCE_ variables.

    Example: ringfence worker --bootstrap-servers kafka:9092 --rules /etc/ringfence/rules
    """
    from streams.garbage import look_seldom

    # Loading the rest makes next to no garbage, and looking for it takes a tenth of the time.
    look_seldom()
    from streams.cli.common import settings_of
    from streams.rule_files import read_rules
    from streams.worker import run_worker

    settings = settings_of(
        kafka_bootstrap_servers=bootstrap_servers,
        rules=rules,
        params=params,
        group=group,
        calls_topics=calls_topics,
        transactions_topics=transactions_topics,
        facts_topic=facts_topic,
        alerts_topic=alerts_topic,
        dead_letters_topic=dead_letters_topic,
        lateness=lateness,
        settle=settle,
        open_for=open_for,
        start=start,
        timezone=timezone,
        web_port=web_port,
        web_host=web_host,
    )
    run_worker(settings, read_rules(settings.rules, settings.timing, settings.params))
