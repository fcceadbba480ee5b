"""Who takes part: each module is run as a process of its own, `python -m … LOG VARIANTS OUT`.

VARIANTS is a JSON list of the rule's variants; into OUT go the matches, one a line: the variant's
rule, a tab, the transfer's id.
"""
