"""The keys of a rule file, section by section, with what each says.

The readers accept these and no others; the schema for editors and the reference are made of them.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Key(NamedTuple):
    """One key: what it says, and whether its section must have it."""

    says: str
    required: bool = False


Keys = Mapping[str, Key]


def required(keys: Keys) -> tuple[str, ...]:
    """Return the keys that a section must have."""
    return tuple(name for name, key in keys.items() if key.required)


RULE: Keys = {
    "id": Key(
        "The rule's id, and its file's name: 3 to 64 small letters, digits and `_`.", required=True
    ),
    "version": Key("Its version, in a form like `1.0.0`.", required=True),
    "title": Key("What it finds, in one line.", required=True),
    "status": Key(
        "How far it has come. Of a `stable` rule `ringfence check` demands stories.", required=True
    ),
    "typology": Key("What it is an instance of. Two rules may share a typology.", required=True),
    "stage": Key("Where in the fraud it stands.", required=True),
    "tags": Key("From the list of tags; your own begin with `own.`."),
    "about": Key("What it is for, and why it is shaped so."),
    "provenance": Key("Where it was published that this happens."),
    "blind_spots": Key("What it cannot see."),
    "confusers": Key(
        "Ordinary occasions that look alike; of a stable rule each is the title of a story "
        "that stays silent."
    ),
    "advice": Key("What the person at the desk is to do. It goes into every alert."),
    "params": Key(
        "Values that conditions and bounds call by name, and that `--params` may replace: "
        "durations, numbers, texts, and money in each currency."
    ),
    "by": Key("What its events have in common: `person` if left out."),
    "steps": Key(
        "The pattern: what is bound, in the order in which conditions may name it.", required=True
    ),
    "anchor": Key("The step that an alert is about; the last `event` step if left out."),
    "unless": Key("Steps that may not be there."),
    "evidence": Key("Steps that raise the score where they are there."),
    "score": Key(
        "What the rule's score means; or else `severity` and `action`, for a rule with one "
        "outcome."
    ),
    "severity": Key("How bad it is, for a rule with one outcome."),
    "action": Key(
        "What is to be done, for a rule with one outcome. `info` and `none` make a signal, "
        "which feeds other rules and is kept off the alerts topic."
    ),
    "raise": Key(
        "`at_once` (if left out), or `when_final`: silent until nothing can change it any more."
    ),
    "message": Key("One sentence for the person at the desk; `{…}` holds an expression."),
    "stories": Key("Timed records, and the alerts that they must give."),
}
"""Keys of a rule file."""

PROVENANCE: Keys = {
    "what": Key("What was published.", required=True),
    "published": Key("When: a year, a month or a day."),
    "by": Key("By whom.", required=True),
}
"""Keys of an entry of `provenance`."""

STEP: Keys = {
    "as": Key("The step's name. Entries of `unless` and `evidence` may do without."),
    "event": Key("Binds one event of this type."),
    "either": Key("In place of `event`: binds one event that fits one of these entries."),
    "each": Key("In place of `event`: binds the set of all events of this type that fit."),
    "where": Key("Conditions on the event, one a line: all of them must be true."),
    "having": Key(
        "Conditions on the set: `count(x)`, `count(x.field)`, `sum`, `least`, `greatest`. "
        "Without any it must have a member."
    ),
    "after": Key("Starts no earlier than this step, and the gap is at most `within`."),
    "before": Key("This step starts no earlier, and the gap is at most `within`."),
    "around": Key("The gap to this step is at most `within`."),
    "during": Key("Overlaps this step."),
    "within": Key(
        "A duration such as `90s`, `15m`, `2h` or `1d12h`, or a parameter's name. The gap "
        "counts from the end of the earlier to the start of the later; both bounds are "
        "inclusive. Of the set that is the anchor: how far before the anchor its members lie."
    ),
    "relations": Key("Several relations, each with its own `within`."),
}
"""Keys of a step, and of an entry of `unless`."""

WEIGHT: Keys = {
    "weight": Key("What it adds to the score: a whole number from 1 up.", required=True),
}
"""Keys that only an entry of `evidence` has."""

OPTION: Keys = {
    "event": Key("Binds one event of this type.", required=True),
    "where": Key("Conditions on such an event."),
}
"""Keys of an entry of `either`."""

SCORE: Keys = {
    "base": Key("The score without any evidence.", required=True),
    "bands": Key(
        "What a score means: from low to high, the first from `base` or below.", required=True
    ),
}
"""Keys of `score`."""

BAND: Keys = {
    "from": Key("The least score of the band.", required=True),
    "severity": Key("How bad it is.", required=True),
    "action": Key("What is to be done.", required=True),
}
"""Keys of a band."""

STORY: Keys = {
    "title": Key("What happens, in a few words; no two stories share one.", required=True),
    "events": Key("Its records, in any order."),
    "like": Key(
        "In place of `events`: the title of an earlier story whose records it takes over."
    ),
    "change": Key("With `like`: by record, the fields that differ."),
    "alerts": Key(
        "The final raised alerts, whatever the order of arrival; `[]` claims that there are none.",
        required=True,
    ),
    "misses": Key(
        "Where it comes nearest without an alert: the step, and the field that decided."
    ),
    "arrival": Key("One order of arrival, by the records' names; without it many are tried."),
    "lateness": Key("How far watermarks stay behind; without it no record is late."),
}
"""Keys of a story."""

RECORD: Keys = {
    "at": Key(
        "When it starts: a time of day on day 0, `1d 09:00` on a later one, or a moment.",
        required=True,
    ),
    "time": Key("When it is told; the latest moment that it carries if left out."),
    "source": Key("Who tells it."),
    "sequence": Key("Which of several records of one event is the better informed."),
}
"""Keys of a record of a story, beside its event type and the event's own fields."""

CLAIM: Keys = {
    "anchor": Key("The record that it is about.", required=True),
    "action": Key("What it asks for."),
    "severity": Key("How bad it is."),
    "score": Key("Its score."),
    "with": Key("Records that it rests on, among others."),
}
"""Keys of an alert that a story claims."""

MISS: Keys = {
    "step": Key("The step that nothing fits.", required=True),
    "on": Key(
        "The field that decides it, or `event`, `count`, `gap`, `where`, `unless`, `after`, "
        "`before`, `around`, `during`, `within`.",
        required=True,
    ),
}
"""Keys of `misses`."""

EVIDENCE: Keys = {**STEP, **WEIGHT}
"""Keys of an entry of `evidence`."""

RELATION: Keys = {key: STEP[key] for key in ("after", "before", "around", "during", "within")}
"""Keys of an entry of `relations`."""
