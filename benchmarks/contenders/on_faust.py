"""The job on stock Faust: an agent on both topics, a table by person, settings as they come.

What the documentation of Faust shows: records come keyed by person, the agent keeps in a table
what it has seen of each, and sends an alert when a call and a transfer of one person are there,
whichever of them comes first. `python -m benchmarks.contenders.on_faust worker` runs it.
"""

import json
import os
from typing import Any

import faust

told = json.loads(os.environ["CONTENDER"])
app = faust.App(
    told["group"],
    broker=";".join(f"kafka://{address}" for address in told["broker"].split(",")),
    processing_guarantee="at_least_once",
    topic_partitions=told["partitions"],
    datadir=told["folder"],
)
events = app.topic(*told["outside"], key_type=str)
alerts = app.topic(told["alerts"], key_type=str)
people = app.Table(told["table"], default=dict, partitions=told["partitions"])


@app.agent(events)
async def correlate(stream: Any) -> None:  # noqa: ANN401 - Faust's own has no fitting type
    """Keep what is known of each person, and tell of call and transfer once both are known."""
    async for person, event in stream.items():
        known = people[person]
        kind = "call" if "call_id" in event["data"] else "transfer"
        known[kind] = event["data"].get("call_id") or event["data"]["transfer_id"]
        people[person] = known
        if len(known) == 2:  # noqa: PLR2004 - a call and a transfer
            await alerts.send(key=person, value=known)


if __name__ == "__main__":
    app.main()
