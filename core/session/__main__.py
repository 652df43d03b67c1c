"""``python -m core.session``: hold a device and work until nothing is left to do for a while."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from core import queue
from core.session.executor import DEFAULT_IDLE_S, Session
from core.workspace import open_workspace


def main() -> int:
    """Run a session; leave at once when another one holds the device."""
    parser = argparse.ArgumentParser(prog="python -m core.session", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="workspace folder")
    parser.add_argument("--device", default="cpu", help="cpu or gpu:<n>")
    parser.add_argument(
        "--idle", type=float, default=DEFAULT_IDLE_S, help="seconds of idleness before it leaves"
    )
    arguments = parser.parse_args()
    workspace = open_workspace(arguments.home)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        with queue.hold_device(workspace, arguments.device) as held:
            if not held:
                return 0
            session = Session(workspace, arguments.device, idle_s=arguments.idle)
            signal.signal(signal.SIGTERM, lambda *_, session=session: session.die())
            too_large = session.run()
        # The lock is free again. A job that came in between found it taken and started nobody, so look once more.
        if not session.has_waiting():
            return 0
        if too_large:
            queue.start_session(workspace, arguments.device)
            return 0


if __name__ == "__main__":
    sys.exit(main())
