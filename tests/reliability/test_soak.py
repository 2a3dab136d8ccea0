"""Two seconds of what `reliability.soak` does for ten minutes."""

from __future__ import annotations

import os
import threading
from collections import Counter

from reliability.soak import TRANSPORTS, growth, plot, soaked


def test_work_under_faults_leaves_no_file_and_no_thread_behind() -> None:
    before = _held()
    samples, ended = soaked(seconds=2.0, seed=1, every=0.1)
    assert _held() == before
    assert ended["success"] > ended.total() / 2
    assert max(one.tasks for one in samples) > 8 * len(TRANSPORTS)
    assert growth(samples).keys() == {"megabytes", "files", "threads", "tasks"}
    assert plot(samples).count("<polyline") == 4


def _held() -> Counter[str]:
    return Counter(files=len(os.listdir("/proc/self/fd")), threads=threading.active_count())
