"""What pictures do I have, and can a classifier learn from them?"""

from __future__ import annotations

from pages.components import data_choice, data_report, shell
from pages.components.text import t

shell.guard(__file__)
data_choice.follow()
shell.header(t("data.title"), t("data.question"))

dataset = shell.current("dataset")
if dataset is None or data_choice.is_choosing():
    data_choice.show(dataset)
else:
    data_report.show(dataset)
