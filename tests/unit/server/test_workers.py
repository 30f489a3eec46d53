"""How a worker process ended, as the front learns it."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

from sageturner_magic.server.front.workers.process import Forked, describe_status


def test_a_forked_worker_has_ended_only_when_its_template_says_how_or_can_say_no_more() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    template: Any = SimpleNamespace(silent=False)
    worker = Forked(template)
    worker.pid = gone.pid
    # The process is gone, and what the template saw of it is still under way.
    assert worker.poll() is None
    worker.status = 3
    assert describe_status(worker.poll()) == "exit status 3"

    orphan = Forked(template)
    orphan.pid = gone.pid
    template.silent = True
    assert "exit status" not in describe_status(orphan.poll())
