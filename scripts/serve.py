"""Start Graft on this machine and say where: on ``PORT``, or on the first free port from 8501."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
FIRST_PORT, LAST_PORT = 8501, 8600


def main() -> None:
    """Find a port and become the server."""
    port = choose_port(os.environ.get("PORT", "").strip())
    print(
        f"\n  Graft starts at http://{HOST}:{port} - open it in a browser in a moment; stop it with Ctrl+C.\n",
        flush=True,
    )
    os.chdir(ROOT)
    os.environ["PYTHONUTF8"] = "1"  # names of files are UTF-8, whatever the terminal's language settings say
    server = [
        "-m",
        "streamlit",
        "run",
        "server.py",
        f"--server.address={HOST}",
        f"--server.port={port}",
    ]
    os.execv(
        sys.executable,
        [sys.executable, *server, "--server.headless=true", "--logger.hideWelcomeMessage=true"],
    )


def choose_port(wanted: str) -> int:
    """Return the wanted port, or the first free one; exit with a plain sentence where there is none."""
    if not wanted:
        free = next((port for port in range(FIRST_PORT, LAST_PORT + 1) if is_free(port)), None)
        return free or sys.exit(
            f"All ports from {FIRST_PORT} to {LAST_PORT} are taken. Name another: make run PORT=9000"
        )
    if not wanted.isdecimal() or not 1024 <= int(wanted) <= 65535:
        sys.exit(f'PORT is "{wanted}". Expected a number from 1024 to 65535, as in: make run PORT=8600')
    if not is_free(int(wanted)):
        sys.exit(
            f"Port {wanted} is taken by another program. Name another, or leave PORT out to get a free one."
        )
    return int(wanted)


def is_free(port: int) -> bool:
    """Tell whether nobody listens on the port and this user may."""
    with socket.socket() as client:
        if client.connect_ex((HOST, port)) == 0:
            return False
    with socket.socket() as server:
        # As the server itself will: a port that a stopped server has just left counts as free.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True


if __name__ == "__main__":
    main()
