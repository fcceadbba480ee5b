"""The command line `ringfence`: each command is a module here that loads its parts when called."""

import sys
import traceback
from typing import Final

import typer

from streams.cli.backtest import backtest
from streams.cli.check import check
from streams.cli.config import config
from streams.cli.dead_letters import dead_letters
from streams.cli.demo import demo
from streams.cli.diff import diff
from streams.cli.explain import explain
from streams.cli.mutate import mutate
from streams.cli.new import new
from streams.cli.produce_demo import produce_demo
from streams.cli.pseudonym import pseudonym
from streams.cli.record import record
from streams.cli.replay import replay
from streams.cli.run_stories import run_stories
from streams.cli.simulate import simulate
from streams.cli.switch import switch
from streams.cli.topics import topics
from streams.cli.worker import worker
from streams.failures import Failure

_BUG: Final = 70

app = typer.Typer(
    name="ringfence",
    help="Join a stranger's video call with a later transfer to a new account, in event time.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in (
    *(demo, replay, explain, diff, backtest, worker, switch, check, new, mutate, simulate),
    *(record, pseudonym, config),
):
    app.command()(_command)
app.command(name="test")(run_stories)
app.add_typer(topics, name="topics")
app.add_typer(dead_letters, name="dead-letters")
app.command(hidden=True)(produce_demo)


def main() -> None:
    """Run the command line; the process ends with an exit code of the design."""
    try:
        app()
    except Failure as failure:
        sys.stderr.write(f"ringfence: {failure}\n")
        sys.exit(failure.exit_code)
    except Exception as error:  # noqa: BLE001 - the last place where a bug can be named
        # Where it happened, and no text of the error: that could hold what a record holds.
        place = traceback.extract_tb(error.__traceback__)[-1]
        sys.stderr.write(
            f"ringfence: a bug: {type(error).__name__} in {place.name}, line {place.lineno}"
            f" of {place.filename.rsplit('/', 1)[-1]}; please report it with these words\n"
        )
        sys.exit(_BUG)
