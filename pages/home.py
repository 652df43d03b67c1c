"""What is this, where do I stand, and what comes next?"""

from __future__ import annotations

import streamlit as st

from pages.components import shell
from pages.components.text import t

shell.guard(__file__)
shell.header(t("home.title"), t("home.question"))

if shell.current("dataset") is None:
    st.info(t("home.empty"), icon=":material/info:")
