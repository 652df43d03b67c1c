"""What is this, where do I stand, and what comes next?"""

from __future__ import annotations

from pages.components import shell
from pages.components.home_steps import steps, under_way, welcome, workspace_line
from pages.components.text import t

shell.guard(__file__)
shell.header(t("home.heading"), t("home.question"))

if shell.current("dataset") is None and shell.current("run") is None:
    welcome()
under_way(shell.current("run"))
steps(shell.current("dataset"), shell.current("run"))
workspace_line()
