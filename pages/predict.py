"""What does the model see in other photos, and how do I take it with me?"""

from __future__ import annotations

import streamlit as st

from core import runs
from pages.components import dataset as dataset_view
from pages.components import shell
from pages.components.beside_teacher import show_beside_teacher
from pages.components.export_run import show_export
from pages.components.move_run import bring_run, move_run
from pages.components.predict_ask import show_asking
from pages.components.text import t
from pages.components.training_run import show_run

shell.guard(__file__)
run = shell.current("run") or shell.newest_run()
shell.header(t("predict.title"), t("predict.question"))

if run is None:
    dataset_view.ask_for_one(t("predict.empty"))
    bring_run()
elif run.state == "done":
    asking, taking = st.tabs([t("predict.tab_ask"), t("predict.tab_export")])
    with asking:
        show_asking(run)
    with taking:
        show_export(run)
        show_beside_teacher(run)
        move_run(run)
else:
    st.markdown(t("predict.under_way" if run.state in runs.ACTIVE_STATES else "predict.no_model"))
    show_run(run)
