"""Show one run's model to others: ``make demo RUN=<id>``, beyond this machine with ``HOST=<its name or address>``."""

from __future__ import annotations

import ipaddress
import os
import re
import secrets
import socket
import sys
from collections.abc import Sequence

from core import demonstration, runs
from core.errors import GraftError
from core.workspace import open_workspace
from scripts.serve import HOST, ROOT, choose_port

_LOCAL = ("127.0.0.1", "localhost", "::1")
_ALL = ("0.0.0.0", "::")
"""Listen at every address of the machine."""
_FAR = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that nobody has (RFC 5737, RFC 3849): the way to them is the way out."""


def main() -> None:
    """Check what was asked for and become the server."""
    run_id, host = os.environ.get("RUN", "").strip(), os.environ.get("HOST", "").strip() or HOST
    host = host.removeprefix("[").removesuffix("]")
    if not run_id:
        sys.exit("Name the run to show, as in: make demo RUN=20261122-194512-3fa9")
    if not is_host(host):
        sys.exit(f'HOST is "{host}". Expected the name or address by which others reach this machine.')
    try:
        demonstration.require_model(runs.get(open_workspace(), run_id))
    except GraftError as error:
        sys.exit(str(error))
    port, token = choose_port(os.environ.get("PORT", "").strip()), secrets.token_urlsafe(16)
    named = names_of(host)
    links = [link(name, port, token) for name in named]
    print(f"\n  The demo starts at {links[0]} - stop it with Ctrl+C.", flush=True)
    for other in links[1:]:
        print(f"                  or {other}", flush=True)
    if (listening := listen_at(host)) != host:
        print(
            f"  Others cannot reach this machine by {host} as it stands, so it listens at all its addresses; a server "
            "in front has to pass that name on (Host).",
            flush=True,
        )
    if host not in _LOCAL:
        print(
            "  Whoever has this link can use the model; nothing on the way is encrypted. Browsers allow the camera "
            "only over HTTPS: put a server that speaks it in front where the camera is needed.",
            flush=True,
        )
    os.environ |= {demonstration.RUN: run_id, demonstration.TOKEN: token}
    os.environ |= {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, *server(listening, port, named)])


def is_host(host: str) -> bool:
    """Tell whether this is an address, or may be a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9.-]+", host) is not None
    return True


def listen_at(host: str) -> str:
    """Return where to listen: at ``host``, or at all addresses where others reach it through something in front."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.bind((host, 0))
            bound = ipaddress.ip_address(probe.getsockname()[0])
    except OSError:
        return "::" if ":" in host else "0.0.0.0"
    # Many machines know their own name as an address that only they reach (127.0.1.1).
    return "0.0.0.0" if bound.is_loopback and host not in _LOCAL else host


def names_of(host: str) -> tuple[str, ...]:
    """Return by what others reach a server that listens at ``host``: for all addresses, this machine's own."""
    if host not in _ALL:
        return (host,)
    found = [_address_towards(*far) for far in _FAR if host == "::" or far[0] == socket.AF_INET]
    return (*(address for address in found if address), socket.gethostname().lower())


def _address_towards(family: socket.AddressFamily, far: str) -> str:
    """Return this machine's address on the way to another, ``""`` where there is no way; nothing is sent."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as asked:
            asked.connect((far, 9))
            return str(asked.getsockname()[0])
    except OSError:
        return ""


def link(host: str, port: int, token: str) -> str:
    """Return where a browser goes; an address of IPv6 stands in brackets."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"


def server(host: str, port: int, named: Sequence[str]) -> list[str]:
    """Return the arguments of the Python that serves the demo.

    Args:
        host: Where it listens.
        port: There.
        named: By which names and addresses it is asked; it answers to these and on this machine, to no other.
    """
    return [
        "-m",
        "streamlit",
        "run",
        "demo/app.py",
        f"--server.address={host}",
        f"--server.port={port}",
        *(f"--server.allowedHosts={name}" for name in dict.fromkeys((*named, *_LOCAL))),
        f"--server.maxUploadSize={demonstration.MAX_FILE_MB}",
        "--server.headless=true",
        "--client.toolbarMode=minimal",
        "--client.showErrorDetails=none",
        "--logger.hideWelcomeMessage=true",
    ]


if __name__ == "__main__":
    main()
