"""What will be trained, how long will it take, and how is it going?"""

from __future__ import annotations

import streamlit as st

from core.runs import FINAL_STATES
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.features_kept import features_kept
from pages.components.text import code, t
from pages.components.training_run import show_run
from pages.components.training_setup import setup

shell.guard(__file__)
shell.header(t("training.title"), t("training.question"))

dataset, run = shell.current("dataset"), shell.current("run")
unfinished = run is not None and run.state != "done"
if run is not None and unfinished:
    show_run(run)
if dataset is not None:
    place = st.expander(t("training.another"), icon=":material/add:") if unfinished else st.container()
    with place, shell.errors():
        split = dataset_view.split_summary(dataset)
        if split is None:
            dataset_view.ask_for_audit(dataset)
        else:
            setup(dataset, split)
elif run is None or run.state in FINAL_STATES:
    dataset_view.ask_for_one(t("training.empty"))
if run is not None and not unfinished:
    st.header(t("training.this_run", run=code(shell.run_name(run))), anchor=False)
    show_run(run)
st.page_link("pages/runs.py", label=t("training.runs"), icon=":material/history:")
features_kept()
