"""The server of the demo: the page, behind a door that only the link's token opens."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from demo.door import Door

app = st.App(Path(__file__).with_name("page.py").resolve(), middleware=[Middleware(Door)])
