from __future__ import annotations

import torch
from hypothesis import settings

# No test asserts a time, hypothesis' own included: a busy machine is not a fault.
settings.register_profile("nextclick", deadline=None)
settings.load_profile("nextclick")

# The models of the tests are small: threads would only wait for each other.
torch.set_num_threads(1)
