"""How good is it, and where does it fail?"""

from __future__ import annotations

import streamlit as st

from pages.components import shell
from pages.components.text import t

shell.guard(__file__)
shell.header(t("evaluation.title"), t("evaluation.question"))

if shell.current("run") is None:
    st.info(t("evaluation.empty"), icon=":material/info:")
