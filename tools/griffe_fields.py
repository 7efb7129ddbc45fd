"""An extension of griffe: a tuple or struct with fields takes them as its parameters."""

from __future__ import annotations

from typing import Any

import griffe


class Fields(griffe.Extension):
    """Adds to each class of annotated fields the ``__init__`` that it has once it is made."""

    def on_class_members(self, *, cls: Any, **_: Any) -> None:
        """Add ``__init__`` to a class that is a named tuple or a struct."""
        bases = {str(base).rpartition(".")[2].partition("[")[0] for base in cls.bases}
        if "__init__" in cls.members or not bases or bases & {"Protocol", "object"}:
            return
        if "__new__" in cls.members:
            init = griffe.Function(
                "__init__", parameters=cls.members["__new__"].parameters, parent=cls
            )
            cls.set_member("__init__", init)
            return
        fields = [
            griffe.Parameter(
                name,
                annotation=each.annotation,
                kind=griffe.ParameterKind.positional_or_keyword,
                default=each.value,
            )
            for name, each in cls.members.items()
            if each.is_attribute and each.annotation and "ClassVar" not in str(each.annotation)
        ]
        if fields:
            kind = griffe.ParameterKind.positional_or_keyword
            own = griffe.Parameter("self", kind=kind)
            init = griffe.Function(
                "__init__", parameters=griffe.Parameters(own, *fields), parent=cls
            )
            cls.set_member("__init__", init)
