"""What SECURITY.md promises has proofs."""

from __future__ import annotations

import re

from support import ROOT


def test_every_promise_names_tests_that_are_there() -> None:
    table = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("| promise | proof |")[2].partition("\n\n")[0]
    promises = table.splitlines()[2:]
    assert len(promises) > 5
    for promise in promises:
        proofs = re.findall(r"`(tests/[\w/]+\.py)`", promise)
        assert proofs, promise
        assert [proof for proof in proofs if not (ROOT / proof).is_file()] == []
