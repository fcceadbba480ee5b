"""The Faust app: agents on channels, and the services that feed them.

Faust brings the life cycle, the agents, their supervision and the web server. Its own consumer,
producer and tables stay off: they acknowledge what has not been done (`DECISIONS.md`).
"""

from collections.abc import Callable
from typing import Any, Final, cast

import faust
from faust.app import BootStrategy as FaustBootStrategy
from mode import CrashingSupervisor

from rules.rule import RuleSet
from streams.agents.correlate import CorrelateStation
from streams.agents.ingest import IngestStation
from streams.bus import Bus, make_member
from streams.epoch import Epoch
from streams.epoch_watch import EpochWatch
from streams.epochs_topic import epochs_topic
from streams.ingest import Ingest
from streams.intake import Intake
from streams.producer import Producer
from streams.settings import Settings
from streams.states import stages_of
from streams.watch.pages import Pages
from streams.watch.readings import Watched
from streams.wire.pseudonyms import Pseudonyms

_ANY_PORT: Final = 6066
_CONCURRENCY: Final = 8
"""Batches of different partitions at work in one agent; those of one partition never are."""


class IntakeApp(faust.App):
    """A Faust app whose agents are fed by services of ours."""

    feeding: tuple[faust.Service, ...] = ()
    """Started after the agents in this order, and stopped before them in the reverse."""
    has_left = False
    """Whether it has ended because its epoch is not what it was."""

    class BootStrategy(FaustBootStrategy):
        """Without Faust's own consumer and producer, and so without its tables."""

        enable_kafka_consumer = False
        enable_kafka_producer = False

    async def on_first_start(self) -> None:
        """Make no folder for tables, of which there are none."""

    async def on_start(self) -> None:
        """Let values into the channels: otherwise only the recovery of tables would."""
        await super().on_start()
        self.flow_control.resume()

    async def on_started_init_extra_services(self) -> None:
        """Start the services that feed the agents."""
        await super().on_started_init_extra_services()
        for service in self.feeding:
            await self.add_runtime_dependency(service)


def build_app(
    settings: Settings, rule_set: RuleSet, epoch: Epoch, *, leave: Callable[[], None]
) -> IntakeApp:
    """Return the worker's app; nothing is started and no broker asked.

    Args:
        settings: the worker's.
        rule_set: its rules.
        epoch: the one that it works for.
        leave: ends the process in order; called when the epoch is not what it was.

    Raises:
        SettingsError: There is no pseudonym key.
    """
    app = IntakeApp(
        id=settings.group,
        broker=[f"kafka://{server}" for server in settings.kafka_bootstrap_servers],
        autodiscover=False,
        web_enabled=settings.web_port != 0,
        web_host=settings.web_host,
        web_bind=settings.web_host,
        # Faust has no port 0; without a web server it makes no difference.
        web_port=settings.web_port or _ANY_PORT,
        web_tables_enabled=False,
        web_router_enabled=False,
    )
    producer = Producer(settings)
    bus = Bus(settings, epoch.group)
    stages = stages_of(epoch, rule_set)
    ingest = Ingest(
        rule_set,
        settings.timing,
        _pseudonyms(settings),
        validates_all=settings.validates == "all",
    )
    taking_in = IngestStation(
        app.channel(),
        settings=settings,
        stages=stages,
        starts=epoch.starts,
        ingest=ingest,
        sender=producer,
        offsets=bus,
    )
    _add_agent(app, "ingest", taking_in)
    stations: dict[str, IngestStation | CorrelateStation] = dict.fromkeys(epoch.roster, taking_in)
    correlating: list[CorrelateStation] = []
    for name, stage in zip(("correlate", "correlate_alerts"), stages, strict=False):
        station = CorrelateStation(
            app.channel(),
            settings=settings,
            stage=stage,
            alerts_topic=epoch.alerts_topic,
            sender=producer,
            facts_log=bus,
        )
        _add_agent(app, name, station)
        stations[stage.log.name] = station
        correlating.append(station)
    intake = Intake(
        settings,
        epoch,
        make_member=lambda: make_member(settings, epoch.group),
        commits=bus,
        stations=stations,
    )

    def left() -> None:
        app.has_left = True
        leave()

    stalled_after_s = settings.stalled_after.total_seconds()
    watched = Watched(epoch, rule_set, ingest, taking_in, correlating, intake, stalled_after_s)
    app.web_server(Pages(app, settings, watched))
    follows = EpochWatch(bus.follow((epochs_topic(settings), 0)), epoch, leave=left)
    app.feeding = (producer, bus, intake, follows)
    return app


def _pseudonyms(settings: Settings) -> Pseudonyms:
    return Pseudonyms(settings.secret(), frozenset(settings.withheld_values))


def _add_agent(app: IntakeApp, name: str, station: IngestStation | CorrelateStation) -> None:
    async def agent(batches: faust.StreamT[Any]) -> None:
        async for batch in batches:
            await station.take(batch)

    # Any other supervisor restarts an agent that has failed, and its batch would be lost.
    app.agent(
        cast("faust.ChannelT[Any]", station.channel),
        name=name,
        concurrency=_CONCURRENCY,
        supervisor_strategy=CrashingSupervisor,
    )(agent)
