"""Rules and small logs for what compares rule sets and outcomes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RULE = """\
id: stranger_then_payee
version: 1.0.0
title: A stranger calls, then a new payee is paid
status: test
typology: trial
stage: exfiltration
params:
  least: [3000 CNY, 400 EUR]
  after_call: 2h
steps:
  - as: call
    event: call_invitation
    where:
      - media == "video"
      - answered
  - as: pay
    event: transfer
    after: call
    within: after_call
    where:
      - status not in ("rejected", "recalled")
      - payee_is_new
      - amount >= least
evidence:
  - {as: shared, event: screen_share, during: call, weight: 40}
  - {as: loan, event: loan_drawdown, before: pay, within: 6h, weight: 30}
score:
  base: 40
  bands:
    - {from: 40, severity: medium, action: warn}
    - {from: 70, severity: high, action: hold}
"""
CAMPAIGN = """\
id: campaign
version: 1.0.0
title: Several victims, one payee
status: test
typology: trial
stage: campaign
severity: high
action: block
by: payee
steps:
  - {as: hits, each: alert, within: 72h, having: [count(hits.person) >= 2]}
anchor: hits
"""
Json = Any


def record(event: str, own_id: str, time: str, source: str, **data: Json) -> str:
    """One line of a log."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{own_id}-{time}",
            "source": source,
            "type": f"ringfence.{event}.v1",
            "time": f"2023-07-08T{time}Z",
            "data": {name: value for name, value in data.items() if value is not None},
        }
    )


def call(person: str, start: str = "10:00", end: str = "10:50", **data: Json) -> str:
    """A video call from start to end, told at its end."""
    told = {
        "call_id": f"c-{person}",
        "person": person,
        "caller": "service@mail.example",
        "service": "facetime",
        "media": "video",
        "direction": "incoming",
        "invited_at": f"2023-07-08T{start}:00Z",
        "answered_at": f"2023-07-08T{start}:00Z",
        "ended_at": f"2023-07-08T{end}:00Z",
    }
    return record(
        "call_invitation", f"c-{person}", f"{end}:00", "//telecom.example/ott", **told | data
    )


def pay(person: str, time: str = "10:55", amount: str = "20000", **data: Json) -> str:
    """A transfer to somebody never paid before."""
    told = {
        "transfer_id": f"p-{person}",
        "person": person,
        "payee_account": "acc-new",
        "amount": amount,
        "currency": "CNY",
        "direction": "out",
        "payee_times_paid": 0,
        "status": "attempted",
        "initiated_at": f"2023-07-08T{time}:00Z",
    }
    return record("transfer", f"p-{person}", f"{time}:00", "//bank.example/core", **told | data)


def share(person: str, start: str = "10:10") -> str:
    """A screen share of ten minutes."""
    return record(
        "screen_share",
        f"s-{person}",
        f"{start}:30",
        "//telecom.example/ott",
        share_id=f"s-{person}",
        person=person,
        started_at=f"2023-07-08T{start}:00Z",
    )


def outcome(own_id: str, alert_id: str | None, verdict: str, sequence: int = 0) -> str:
    """What the bank found out."""
    line = record(
        "outcome", own_id, "23:00:00", "//bank.example/desk", alert_id=alert_id, verdict=verdict
    )
    return json.dumps({**json.loads(line), "sequence": sequence})


def write(path: Path, lines: Sequence[str]) -> Path:
    """Write a log."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def rules(folder: Path, *texts: str) -> Path:
    """Write rule files, each under its id."""
    folder.mkdir(exist_ok=True)
    for text in texts:
        name = text.partition("\n")[0].removeprefix("id: ")
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder
