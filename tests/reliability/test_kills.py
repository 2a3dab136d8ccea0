"""Scripts that are killed while they register a machine; `reliability.kills` kills more of them."""

from __future__ import annotations

from reliability.kills import MOMENTS, deaths


def test_a_script_that_was_killed_and_runs_again_leaves_one_source() -> None:
    seen = list(deaths(runs=len(MOMENTS), seed=1))
    assert [death.moment for death in seen] == list(MOMENTS)
    assert [death.sent for death in seen[:2]] == [False, True]
    assert [(death.sources, death.agreed) for death in seen] == [(1, True)] * len(MOMENTS)
