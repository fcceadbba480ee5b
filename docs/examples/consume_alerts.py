"""A consumer of ringfence's alerts that is right whatever repeats or comes out of order.

    python consume_alerts.py --broker localhost:9092 --database desk.db

It keeps one row per alert in SQLite and prints a line for each alert that became another. It needs
`aiokafka` and nothing of ringfence. `docs/consumers.md` says why it does what it does.
"""

import argparse
import asyncio
import json
import sqlite3
from contextlib import closing
from typing import Any

from aiokafka import AIOKafkaConsumer

TABLE = """
CREATE TABLE IF NOT EXISTS alert (
    alert_id TEXT PRIMARY KEY,
    revision INTEGER NOT NULL,
    incident TEXT NOT NULL,
    state TEXT NOT NULL,
    final INTEGER NOT NULL,
    severity TEXT NOT NULL,
    action TEXT NOT NULL,
    said TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS alert_by_incident ON alert (incident);
"""

# The greatest revision wins, never the last message: a worker that was cut off may repeat what it
# wrote long ago. So this changes nothing for repeats, and rows that are final have to stay as long
# as repeats can come.
KEEP_THE_GREATEST = """
INSERT INTO alert
VALUES (:alert_id, :revision, :incident, :state, :final, :severity, :action, :said)
ON CONFLICT (alert_id) DO UPDATE SET
    revision = excluded.revision, incident = excluded.incident, state = excluded.state,
    final = excluded.final, severity = excluded.severity, action = excluded.action,
    said = excluded.said
WHERE excluded.revision > alert.revision
"""


class Desk:
    """The alerts as they stand, for whoever acts on them."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        database.executescript(TABLE)

    def take(self, value: bytes) -> str | None:
        """Take in one message; return what there is to do, or None if it says nothing new."""
        event = json.loads(value)
        if event["type"] != "ringfence.alert.v1":
            return None
        told = event["data"]
        before = self.standing(told["alert_id"])
        changed = self.database.execute(
            KEEP_THE_GREATEST,
            {
                "alert_id": told["alert_id"],
                "revision": told["revision"],
                "incident": told["incident"],
                "state": told["state"],
                "final": told["final"],
                "severity": told["severity"],
                "action": told["action"],
                "said": json.dumps(told),
            },
        )
        return to_do(before, told) if changed.rowcount else None

    def standing(self, alert_id: str) -> dict[str, Any] | None:
        """Return an alert as it stands."""
        row = self.database.execute("SELECT said FROM alert WHERE alert_id = ?", [alert_id])
        found = row.fetchone()
        return None if found is None else json.loads(found[0])

    def is_first_of_incident(self, told: dict[str, Any]) -> bool:
        """Tell whether no other raised alert of this key and day is there: to bundle, not to drop.

        Each alert is about an anchor of its own, which may be a transfer of its own.
        """
        others = self.database.execute(
            "SELECT 1 FROM alert WHERE incident = ? AND alert_id != ? AND state = 'raised'",
            [told["incident"], told["alert_id"]],
        )
        return others.fetchone() is None


def to_do(before: dict[str, Any] | None, told: dict[str, Any]) -> str | None:
    """Return what a greater revision asks for, or None if only what it says of itself changed."""
    if told["state"] == "withdrawn":
        # Somebody may be holding a transfer because of what stood there before.
        return "release" if before is not None and before["state"] == "raised" else None
    if before is None or before["state"] == "withdrawn":
        return "act"
    if any(before[name] != told[name] for name in ("action", "severity", "score")):
        return "act again"
    # Nothing can change it any more: the case can be closed and counted.
    return "close" if told["final"] else None


async def consume(broker: str, topic: str, desk: Desk, *, once: bool) -> None:
    """Follow the topic from where the database has come to; with `once` up to its end."""
    desk.database.execute(
        "CREATE TABLE IF NOT EXISTS progress (partition INTEGER PRIMARY KEY, next INTEGER)"
    )
    # Without a group it gets all partitions; several of these want a table of their own each.
    async with AIOKafkaConsumer(topic, bootstrap_servers=broker) as consumer:
        places = sorted(consumer.assignment(), key=lambda place: place.partition)
        begin = await consumer.beginning_offsets(places)
        ends = await consumer.end_offsets(places)
        came = dict(desk.database.execute("SELECT partition, next FROM progress"))
        for place in places:
            # The offset is kept beside the alerts, in one transaction: both are there or neither.
            consumer.seek(place, max(came.get(place.partition, 0), begin[place]))
        while not once or [p for p in places if await consumer.position(p) < ends[p]]:
            for place, messages in (await consumer.getmany(timeout_ms=500)).items():
                with desk.database:
                    for message in messages:
                        show(desk, message.value)
                    desk.database.execute(
                        "INSERT OR REPLACE INTO progress VALUES (?, ?)",
                        [place.partition, messages[-1].offset + 1],
                    )


def show(desk: Desk, value: bytes) -> None:
    """Take in one message, and print what there is to do."""
    what = desk.take(value)
    if what is None:
        return
    told = json.loads(value)["data"]
    bundle = "new incident" if desk.is_first_of_incident(told) else "same incident"
    print(
        what,
        told["alert_id"],
        told["severity"],
        told["action"],
        f"{bundle} {told['incident']}",
        told.get("message", told["rule"]["title"]),
        sep=" | ",
        flush=True,
    )


def main() -> None:
    """Read the command line, and consume until interrupted."""
    parser = argparse.ArgumentParser(description="Follow the alerts of ringfence.")
    parser.add_argument("--broker", default="localhost:9092")
    parser.add_argument("--topic", default="ringfence.alerts")
    parser.add_argument("--database", default="desk.db")
    parser.add_argument("--once", action="store_true", help="end at the end of the topic")
    given = parser.parse_args()
    with closing(sqlite3.connect(given.database)) as database:
        asyncio.run(consume(given.broker, given.topic, Desk(database), once=given.once))


if __name__ == "__main__":
    main()
