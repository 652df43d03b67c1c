"""What stands behind ``make run``: a fitting Python, a ``.venv`` that survives being cut short, a free port."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import environment, serve

SCRIPTS_DIR = Path(environment.__file__).parent


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout that needs no packages, in a folder with a space in its name."""
    folder = tmp_path / "my graft"
    (folder / "scripts").mkdir(parents=True)
    for name in ("environment.py", "python.sh"):
        shutil.copy(SCRIPTS_DIR / name, folder / "scripts" / name)
    (folder / "requirements.txt").write_text("# nothing\n")
    return folder


def _set_up(checkout: Path) -> str:
    command = ["sh", "scripts/python.sh", "scripts/environment.py", "requirements.txt"]
    environment = {**os.environ, "PYTHON": sys.executable}
    answer = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_an_environment_is_made_once_and_made_anew_where_it_is_broken(checkout: Path) -> None:
    leftover = checkout / ".venv" / "half-a-package"
    record_path = checkout / ".venv" / "graft-installed.json"
    leftover.parent.mkdir()
    leftover.touch()
    record_path.write_text("{}")  # what a killed installation leaves
    assert "Making .venv" in _set_up(checkout)
    assert not leftover.exists()
    assert _set_up(checkout) == ""

    (checkout / "requirements.txt").write_text("# still nothing\n")
    changed = _set_up(checkout)
    assert "Installing requirements.txt" in changed
    assert "Making .venv" not in changed

    (checkout / ".venv" / "bin" / "python").unlink()
    assert "Making .venv" in _set_up(checkout)
    assert set(json.loads(record_path.read_text())) == {"requirements.txt", "python"}


def test_a_change_in_an_included_file_changes_the_fingerprint(tmp_path: Path) -> None:
    base, dev = tmp_path / "requirements.txt", tmp_path / "requirements-dev.txt"
    base.write_text("a>=1\n")
    dev.write_text("-r requirements.txt  # the rest\nb>=1\n")
    before = environment.fingerprints(dev)
    base.write_text("a>=2\n")
    after = environment.fingerprints(dev)
    assert set(after) == {base.name, dev.name}
    assert all(before[name] != after[name] for name in after)


def _python_says(path: Path, **environment: str) -> str:
    command = ["/bin/sh", str(SCRIPTS_DIR / "python.sh"), "-c", "print('started')"]
    answer = subprocess.run(
        command, cwd=path, env={"PATH": str(path), **environment}, capture_output=True, text=True, check=False
    )
    return answer.stdout + answer.stderr


def _command(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_a_shim_that_fails_is_passed_over(tmp_path: Path) -> None:
    _command(tmp_path / "python3.13", "echo 'pyenv: python3.13: command not found' >&2; exit 127")
    _command(tmp_path / "python3", f'exec "{sys.executable}" "$@"')
    assert _python_says(tmp_path) == "started\n"


def test_without_a_fitting_python_the_message_names_what_was_found(tmp_path: Path) -> None:
    _command(tmp_path / "python3", "echo 'is Python 3.9' >&2; exit 1")
    said = _python_says(tmp_path)
    assert f"{tmp_path}/python3 is Python 3.9" in said
    assert "Graft needs Python 3.11, 3.12 or 3.13." in said
    assert "make run PYTHON=" in said


def test_without_the_module_venv_the_message_names_the_package(tmp_path: Path) -> None:
    _command(tmp_path / "python3", "echo 'lacks the module venv' >&2; exit 1")
    assert "sudo apt install python3-venv" in _python_says(tmp_path)


def test_a_python_that_was_asked_for_and_is_not_there_is_named(tmp_path: Path) -> None:
    assert "/nowhere/python is not there (it is what PYTHON says)" in _python_says(
        tmp_path, PYTHON="/nowhere/python"
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_the_next_free_port_is_taken(taken_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "FIRST_PORT", taken_port)
    monkeypatch.setattr(serve, "LAST_PORT", taken_port + 50)
    assert taken_port < serve.choose_port("") <= taken_port + 50


@pytest.mark.parametrize("wanted", ["http", "80", "70000", "-1", "８５０１x"])
def test_a_port_that_makes_no_sense_is_refused(wanted: str) -> None:
    with pytest.raises(SystemExit, match="Expected a number from 1024 to 65535"):
        serve.choose_port(wanted)


def test_a_wanted_port_that_is_taken_is_not_replaced_silently(taken_port: int) -> None:
    with pytest.raises(SystemExit, match="is taken by another program"):
        serve.choose_port(str(taken_port))
