"""How good is it, and where does it fail?"""

from __future__ import annotations

import streamlit as st

from core import runs
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.evaluation_run import show_evaluation
from pages.components.text import t
from pages.components.training_run import show_run

shell.guard(__file__)
run = shell.current("run") or shell.newest_run()
shell.header(t("evaluation.title"), t("evaluation.question"))

if run is None:
    dataset_view.ask_for_one(t("evaluation.empty"))
elif run.state == "done":
    show_evaluation(run)
else:
    st.markdown(t("evaluation.under_way" if run.state in runs.ACTIVE_STATES else "evaluation.no_model"))
    show_run(run)
