"""One model, shown to others: its name, what it knows, a place to drop photos, and nothing else.

In a folder of its own, because Streamlit would serve every file of a ``pages`` folder beside its entry point.
"""

from __future__ import annotations

from pages.components import demo

demo.run()
