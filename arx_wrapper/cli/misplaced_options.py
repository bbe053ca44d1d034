"""Say where an option goes that is given at the wrong place: before the command, or after it."""

from __future__ import annotations

from typing import Any, Final

# The options of every command, with what each takes; a test compares them with the command's own.
GLOBAL: Final = {"--agent": "NAME", "--org": "NAME", "--config": "FILE", "--version": ""}


def goes_before(option: str, path: str = "arx-pagerduty COMMAND") -> str | None:
    """Return the sentence that says where a global option goes; None for any other option.

    Args:
        option: As it was given, `--agent` or `--agent=x`.
        path: The command that it was given to, with the program's name.
    """
    name = option.partition("=")[0]
    if name not in GLOBAL:
        return None
    program, _, command = path.partition(" ")
    if name == "--version":
        return f"{name} goes without a command: {program} {name}"
    return f"{name} goes before the command: {program} {name} {GLOBAL[name]} {command} ..."


def hint(error: Any) -> str | None:
    """Return the sentence for an option that a command or group does not know, when it has a place elsewhere."""
    option, context = getattr(error, "option_name", None), getattr(error, "ctx", None)
    if option is None or context is None:
        return None
    if before := goes_before(option, context.command_path):
        return before
    if not any(option in parameter.opts for command in _below(context.command) for parameter in command.params):
        return None
    return f"{option} goes after the command: {context.command_path} COMMAND ... {option}"


def _below(command: Any) -> list[Any]:
    found = list(getattr(command, "commands", {}).values())
    return [*found, *(below for each in found for below in _below(each))]
