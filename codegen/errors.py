"""Define the build step's error, which reports all faults at once, each with place, cause and remedy."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen


@frozen(kw_only=True)
class Fault:
    """One fault.

    Attributes:
        place: Its place: a file with its line, an endpoint, a class or a JSON pointer.
        cause: A description of the fault.
        remedy: The change that is needed, with its file.
    """

    place: str
    cause: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place} {self.cause}; {self.remedy}"


class CodegenError(Exception):
    """The build step cannot continue. Nothing was written.

    Attributes:
        faults: All faults, at least one.
    """

    def __init__(self, place: str, cause: str, remedy: str) -> None:
        self.faults: tuple[Fault, ...] = (Fault(place=place, cause=cause, remedy=remedy),)
        super().__init__(place, cause, remedy)

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> CodegenError:
        """Return one error with several faults."""
        listed = tuple(faults)
        error = cls(listed[0].place, listed[0].cause, listed[0].remedy)
        error.faults = listed
        return error

    def __str__(self) -> str:
        return "\n".join(map(str, self.faults))
