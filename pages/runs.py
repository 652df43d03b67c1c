"""Which trainings were there, which is best, and what changed between two of them?"""

from __future__ import annotations

from pages.components import shell
from pages.components.runs_compare import comparison
from pages.components.runs_list import run_list
from pages.components.text import t

shell.guard(__file__)
shell.header(t("runs.title"), t("runs.question"))
comparison(run_list())
