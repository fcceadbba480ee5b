"""`ringfence pseudonym`: the pseudonym that ingest makes, and nothing of the value in any text."""

import json

import pytest
import typer
from typer.testing import CliRunner, Result

from streams.cli.pseudonym import pseudonym
from streams.failures import Failure
from streams.wire.pseudonyms import Pseudonyms

SECRET = "a secret of sixteen letters"
PERSON = "+8613800000001"
MADE = Pseudonyms(SECRET.encode(), frozenset())

app = typer.Typer()
app.command()(pseudonym)


def asked(*arguments: str, stdin: str = "", secret: str | None = SECRET) -> Result:
    environ = {} if secret is None else {"RINGFENCE_PSEUDONYM_KEY": secret}
    return CliRunner().invoke(app, list(arguments), input=stdin, env=environ)


def sentence(result: Result) -> str:
    assert isinstance(result.exception, Failure), result.exception
    assert result.exception.exit_code == 2
    assert PERSON not in str(result.exception)
    return str(result.exception)


@pytest.mark.parametrize(
    ("kind", "value", "as_kind", "as_text"),
    [
        ("person", "+86 138-0000.0001", "person", PERSON),
        ("caller", "Desk@Calls.example", "handle", "desk@calls.example"),
        ("handle", "desk@calls.example", "handle", "desk@calls.example"),
        ("payee", "ACC 7", "account", "ACC 7"),
        ("meeting", "m-1", "meeting", "m-1"),
        ("device", "d-1", "device", "d-1"),
    ],
)
def test_it_is_the_one_that_ingest_makes(
    kind: str, value: str, as_kind: str, as_text: str
) -> None:
    told = {"handle": "caller", "account": "payee_account"}.get(as_kind, as_kind)
    event = {"person": "transfer", "account": "transfer"}.get(as_kind, "call_invitation")
    ingested = MADE.apply(event, {told: as_text})[told]
    assert asked(kind, value).stdout == f"{ingested}\n"


def test_of_standard_input_every_line_is_answered_in_json_and_not_repeated() -> None:
    result = asked("person", "-", stdin=f"{PERSON}\n 7\r\n")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"line": 1, "kind": "person", "pseudonym": MADE.of("person", PERSON)},
        {"line": 2, "kind": "person", "pseudonym": MADE.of("person", " 7")},
    ]


def test_a_caller_that_is_withheld_is_nobody() -> None:
    assert json.loads(asked("caller", "-", stdin="ANONYMOUS\n").stdout)["pseudonym"] is None
    assert "stands for nobody" in sentence(asked("caller", "Private"))
    assert asked("payee", "private").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "said"),
    [
        (("persona", PERSON), "", "KIND: 'persona' has no pseudonyms; did you mean 'person'?"),
        (("area", PERSON), "", "KIND: an area stands for itself and has no pseudonym"),
        (("person", ""), "", "VALUE: wanted 1 to 256 characters, found 0"),
        (("person", "-"), f"{PERSON}\n\n", "line 2: wanted 1 to 256 characters, found 0"),
        (("person", "-"), f"{PERSON * 20}\n", "line 1: wanted 1 to 256 characters, found 280"),
    ],
)
def test_a_wrong_request_gets_one_sentence(
    arguments: tuple[str, str], stdin: str, said: str
) -> None:
    assert sentence(asked(*arguments, stdin=stdin)).startswith(said)


def test_without_a_secret_there_is_no_pseudonym() -> None:
    assert sentence(asked("person", PERSON, secret=None)).startswith("RINGFENCE_PSEUDONYM_KEY: ")
