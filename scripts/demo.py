"""Show one run's model to others: ``make demo RUN=<id>``, beyond this machine with ``HOST=<its name or address>``."""

from __future__ import annotations

import os
import re
import secrets
import sys

from core import demonstration, runs
from core.errors import GraftError
from core.workspace import open_workspace
from scripts.serve import HOST, ROOT, choose_port

_LOCAL = ("127.0.0.1", "localhost")


def main() -> None:
    """Check what was asked for and become the server."""
    run_id, host = os.environ.get("RUN", "").strip(), os.environ.get("HOST", "").strip() or HOST
    if not run_id:
        sys.exit("Name the run to show, as in: make demo RUN=20261122-194512-3fa9")
    if not re.fullmatch(r"[A-Za-z0-9.:-]+", host):
        sys.exit(f'HOST is "{host}". Expected the name or address by which others reach this machine.')
    try:
        demonstration.require_model(runs.get(open_workspace(), run_id))
    except GraftError as error:
        sys.exit(str(error))
    port, token = choose_port(os.environ.get("PORT", "").strip()), secrets.token_urlsafe(16)
    print(f"\n  The demo starts at http://{host}:{port}/?token={token} - stop it with Ctrl+C.", flush=True)
    if host not in _LOCAL:
        print(
            "  Whoever has this link can use the model; nothing on the way is encrypted. Browsers allow the camera "
            "only over HTTPS: put a server that speaks it in front where the camera is needed.",
            flush=True,
        )
    os.environ |= {demonstration.RUN: run_id, demonstration.TOKEN: token}
    os.environ |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, *server(host, port)])


def server(host: str, port: int) -> list[str]:
    """Return the arguments of the Python that serves the demo."""
    return [
        "-m",
        "streamlit",
        "run",
        "demo/app.py",
        f"--server.address={host}",
        f"--server.port={port}",
        *(f"--server.allowedHosts={name}" for name in dict.fromkeys((host, *_LOCAL))),
        f"--server.maxUploadSize={demonstration.MAX_FILE_MB}",
        "--server.headless=true",
        "--client.toolbarMode=minimal",
        "--logger.hideWelcomeMessage=true",
    ]


if __name__ == "__main__":
    main()
