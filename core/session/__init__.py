"""The executor: a process that holds one device, keeps networks warm, and works on jobs one after the other.

Started as ``python -m core.session --home DIR --device cpu``; see :mod:`core.queue` for how it is found.
"""
