"""The build step's one error: every fault names its place, its cause and the remedy, and all faults come at once."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


@frozen(kw_only=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        place: Where, as a file with its line, an endpoint, a class or a JSON pointer.
        cause: What is wrong there.
        remedy: What to change, and in which file.
    """

    place: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place} {self.cause}; {self.remedy}"


class CodegenError(Exception):
    """The build step cannot go on. Nothing was written.

    Attributes:
        faults: All that is wrong, at least one.
    """

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        self.faults: tuple[Fault, ...] = (Fault(place=place, cause=cause, remedy=remedy),)
        super().__init__(place, cause, remedy)

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> CodegenError:
        """Return the error that tells of several faults."""
        listed = tuple(faults)
        error = cls(listed[0].place, listed[0].cause, listed[0].remedy)
        error.faults = listed
        return error

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))
