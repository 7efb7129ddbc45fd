from __future__ import annotations

from hypothesis import settings

# No test asserts a time, hypothesis' own included: a busy machine is not a fault.
settings.register_profile("nextclick", deadline=None)
settings.load_profile("nextclick")
