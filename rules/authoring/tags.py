"""The tags that rules carry: what each stands for. A site's own begin with `own.`."""

from collections.abc import Mapping

OWN = "own."

TAGS: Mapping[str, str] = {
    # The tactics of MITRE's Fight Fraud Framework (F3), version 1.1.
    "f3.reconnaissance": "F3: learning about victims and institutions",
    "f3.resource_development": "F3: making ready what the fraud needs",
    "f3.initial_access": "F3: the first contact or the first way in",
    "f3.stealth": "F3: staying unseen",
    "f3.positioning": "F3: getting the victim, the device or the account into place",
    "f3.execution": "F3: the fraudulent act itself",
    "f3.monetization": "F3: turning it into money",
    "f3.defense_impairment": "F3: switching off what would stop it",
    "contact.ott_video": "a video call over the internet",
    "contact.burst": "a volley of calls",
    "contact.false_name": "a caller under a name that is not theirs",
    "contact.cut_off": "the contact is cut off, or a promise not kept",
    "control.screen_share": "the screen is shown to somebody",
    "control.remote_control": "somebody else can steer the device",
    "control.false_site": "a site that is not what it looks like",
    "control.callback": "the way back to the customer is tampered with",
    "money.loan": "borrowed money",
    "money.savings": "savings, in or out",
    "money.own_accounts": "the customer's own accounts are gathered",
    "money.new_payee": "a payee that was added for it",
    "campaign.account": "one account, several victims",
    "campaign.caller": "one caller, several victims",
    "campaign.area": "one area, several victims",
}
