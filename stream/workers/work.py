"""What the processes of a group do that are not its first: what that one tells them."""

from __future__ import annotations

import torch

from nextclick.models.compute.device import cores
from nextclick.models.workers import Group, LostWorker, serve

from .. import signals
from .joining import torch_threads
from .member import Member
from .serve_models import serve_models


def serve_first(member: Member) -> None:
    """Do what the first process asks for, until it asks for no more.

    A process that loses the others meanwhile ends. Signals are the first one's to act on: it takes
    a last snapshot, for which it needs all others, and then tells them that there is no more.
    """
    signals.pass_over()
    try:
        if member.task["work"] == "compare":
            serve_models(member)
        else:
            torch.set_num_threads(torch_threads(cores(), member.place.local_size))
            serve(Group(member.group), device=member.task["device"])
    except LostWorker as error:
        member.lose(error)
    except Exception:
        # The first has ended, and this is what that looks like from here.
        if not member.first_failed():
            raise
    member.part()
