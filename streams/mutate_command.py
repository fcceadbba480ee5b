"""What `ringfence mutate` does: every mutant of every rule tried, and the report."""

import sys
from collections.abc import Iterator, Sequence

from rules.authoring.mutants import Tried, score_of, try_mutants
from rules.authoring.stories import StoryError
from rules.language import check_files
from rules.language.check import CheckedRule
from streams.failures import UsageFailure
from streams.rule_files import read_texts, sentences_of
from streams.settings import Settings


def run_mutants(settings: Settings, min_score: float, *, show_noticed: bool) -> bool:
    """Try every mutant of the rules; tell whether enough of each rule's are noticed.

    Args:
        settings: say where the rules are, and under which settings stories are run.
        min_score: how many of a hundred have to be noticed.
        show_noticed: report also those that are.

    Raises:
        UsageFailure: A file cannot be read, or has a mistake in it.
    """
    try:
        checked = check_files(read_texts(settings.rules), settings.timing)
    except ExceptionGroup as group:
        raise UsageFailure("\n".join(sentences_of(group))) from None
    every: list[Tried] = []
    enough = True
    for rule in checked:
        tried = _tried(rule, settings)
        for line in _report(rule, tried, show_noticed=show_noticed):
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        enough = enough and score_of(tried) >= min_score
        every += tried
    if len(checked) > 1:
        sys.stdout.write(f"{_score(every)}, in {len(checked)} rules\n")
    return enough


def _tried(rule: CheckedRule, settings: Settings) -> list[Tried]:
    try:
        return try_mutants(rule, settings.timing)
    except StoryError as error:
        raise UsageFailure(f"{rule.file}:{error.line}: {error}") from error


def _report(rule: CheckedRule, tried: Sequence[Tried], *, show_noticed: bool) -> Iterator[str]:
    yield f"{rule.id}: {_score(tried)}"
    for mutant in tried:
        place = f"{rule.file}:{mutant.at.line}:{mutant.at.column}"
        if mutant.noticed_by is None:
            yield f"  {place}: {mutant.says}: no story notices"
            yield f"    it would take one with {mutant.story}"
        elif show_noticed:
            yield f"  {place}: {mutant.says}: noticed by '{mutant.noticed_by}'"


def _score(tried: Sequence[Tried]) -> str:
    noticed = sum(mutant.noticed_by is not None for mutant in tried)
    return f"{noticed:,} of {len(tried):,} mutants noticed ({score_of(tried):.1f} %)"
