"""Which photos are there, and can they be learnt from?"""

from __future__ import annotations

import streamlit as st

from pages.components import shell
from pages.components.text import t

shell.guard(__file__)
shell.header(t("data.title"), t("data.question"))

if shell.current("dataset") is None:
    st.info(t("data.empty"), icon=":material/info:")
