"""The text of a new rule, to be changed: each part once, with a word on it, and two stories."""

_TEXT = """\
id: {id}                              # the file's name too
version: 0.1.0
title: A stranger's video call, then a transfer to a payee never paid before
status: experimental                  # experimental | test | stable | deprecated
typology: {id}
stage: exfiltration                   # contact, pretext, control, liquidity, cut_off, campaign
tags: [f3.monetization, contact.ott_video]
about: |
  What it is for, and why it is shaped so.
# provenance:                         # where it was published that this happens
#   - {{what: A bank warns of it, published: 2023-07-10, by: The bank}}
blind_spots: [a second phone takes the call]
confusers:                            # of a stable rule each is the title of a silent story
  - the caller is in the address book
advice: Call back on the number of record.

params:                               # a duration, a number, a text, or money, one per currency
  min_amount: [3000 CNY, 400 EUR]
  after_call: 2h

by: person                            # person | payee | caller | meeting | area
steps:                                # each but the first says how it lies to an earlier one
  - as: call
    event: call_invitation
    where:                            # one condition a line; all of them must be true
      - media == "video" and direction == "incoming"
      - relationship == "stranger"
      - answered
  - as: pay
    event: transfer
    after: call
    within: after_call                # from the end of the call; zero while it lasts
    where:
      - direction == "out" and status not in ("rejected", "recalled")
      - payee_is_new
      - amount >= min_amount
anchor: pay                           # what an alert is about

# unless:                             # what takes the match away
#   - {{event: official_call, during: call, where: [caller == call.caller]}}

evidence:                             # what raises the score
  - {{as: shared_screen, event: screen_share, during: call, weight: 40}}

score:
  base: 40
  bands:                              # the first starts at `base` or below
    - {{from: 40, severity: medium, action: warn}}
    - {{from: 80, severity: high, action: hold}}
message: "{{pay.amount}} {{pay.currency}} to a new payee after a video call by a stranger"

stories:                              # run by `ringfence test`, in several orders of arrival
  - title: a transfer during the call
    events:
      - {{at: "10:00", call_invitation: c1, relationship: stranger, answered_at: "10:01"}}
      - {{at: "10:42", transfer: p1, amount: 20000 CNY, payee_times_paid: 0, status: attempted}}
    alerts: [{{anchor: p1, action: warn, with: [c1]}}]
  - title: the caller is in the address book
    like: a transfer during the call
    change: {{c1: {{relationship: contact}}}}
    alerts: []
    misses: {{step: call, on: relationship}}
"""


def new_rule(rule_id: str) -> str:
    """Return a rule file that has no mistake and holds its stories, ready to be changed."""
    return _TEXT.format(id=rule_id)
