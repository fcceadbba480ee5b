"""The contest on a small workload, every contender in a process of its own."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.contest import Discipline, Result, compete
from benchmarks.field import Entry
from benchmarks.logs import Workload
from benchmarks.page import contest_tables, put
from benchmarks.program import contest
from benchmarks.truth import Limits, true_matches
from benchmarks.variants import variants
from benchmarks.workload import Size

SIZE = Size(20_000, seed=5)


@pytest.fixture(scope="module")
def disciplines(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Discipline]:
    return contest(Workload(SIZE, tmp_path_factory.mktemp("logs")), 2)


@pytest.fixture(scope="module")
def results(disciplines: Sequence[Discipline]) -> Sequence[Sequence[Result]]:
    return compete(disciplines, 1, lambda _: None)


def test_everybody_finds_what_the_brute_force_finds(
    disciplines: Sequence[Discipline], results: Sequence[Sequence[Result]]
) -> None:
    for discipline, found in zip(disciplines, results, strict=True):
        for result in found:
            not_there = (result.why_not or "").startswith("not there")
            assert result.took or not_there, f"{discipline.title}, {result.name}: {result.why_not}"
    assert len(disciplines[0].truth) >= SIZE.planted
    # Of a hundred variants, more is found than of one.
    assert len(disciplines[2].truth) > len(disciplines[0].truth)


def test_whoever_finds_others_gets_no_figure(disciplines: Sequence[Discipline]) -> None:
    told = disciplines[0]
    off_by_one = Discipline(
        told.title, told.events, frozenset(list(told.truth)[1:]), told.entries[:1]
    )
    ((result,),) = compete([off_by_one], 1, lambda _: None)
    assert result.took is None
    assert result.why_not == "WRONG: 0 lost, 1 false"
    (table,) = contest_tables([off_by_one], [[result]])
    assert "| ringfence | WRONG: 0 lost, 1 false |" in table


def test_whoever_fails_is_said_to_have_failed(tmp_path: Path) -> None:
    absent = Entry("floor", tmp_path / "absent.jsonl", tmp_path / "absent.json")
    broken = Discipline("broken", 1, frozenset(), [absent])
    ((result,),) = compete([broken], 1, lambda _: None)
    assert result.why_not is not None
    assert result.why_not.startswith("failed: exit code 1")


def test_the_brute_force_counts_by_hand() -> None:
    call = (
        b'{"type":"ringfence.call_invitation.v1","data":{"person":"p","media":"video",'
        b'"direction":"incoming","relationship":"stranger","invited_at":"2023-07-08T10:00:00Z",'
        b'"answered_at":"2023-07-08T10:00:10Z","ended_at":"2023-07-08T10:10:00Z"}}'
    )

    def pay(name: str, at: str, amount: str = "3000.00", times: int = 0) -> bytes:
        data = {
            "transfer_id": name,
            "person": "p",
            "initiated_at": f"2023-07-08T{at}Z",
            "amount": amount,
            "direction": "out",
            "payee_kind": "personal",
            "payee_times_paid": times,
            "status": "accepted",
        }
        return json.dumps({"type": "ringfence.transfer.v1", "data": data}).encode()

    #   10:00 call        10:10 over                   12:10
    #   |-----------------|............2h..............|
    log = [
        pay("before it", "09:59:59"),
        pay("as it rings", "10:00:00"),
        call,
        pay("at the very end", "12:10:00"),
        pay("a second too late", "12:10:01"),
        pay("a cent less", "10:05:00", amount="2999.99"),
        pay("paid before", "10:05:00", times=1),
    ]
    (rule,) = variants(1)
    longer_talk = Limits("longer", 3000, 7200, 591)
    assert true_matches(log, [rule, longer_talk]) == {
        rule.rule: ["as it rings", "at the very end"],
        "longer": [],
    }


def test_a_part_of_the_page_is_replaced_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    put(page, "one", "first")
    put(page, "two", "second")
    put(page, "one", "third")
    assert page.read_text().startswith("# Performance\n")
    assert page.read_text().endswith(
        "<!-- one -->\nthird\n<!-- end of one -->\n<!-- two -->\nsecond\n<!-- end of two -->\n"
    )
