"""Everything Graft knows and does; no module here imports Streamlit."""
