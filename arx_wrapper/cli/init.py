"""`init`: write a configuration and a policy to start from, after three questions."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from attrs import frozen

from arx_wrapper.cli.output import Format, Output, print_json, say, warn
from arx_wrapper.cli.prompts import ask
from arx_wrapper.config.sources import user_folder
from arx_wrapper.errors import ConfigError

_E = TypeVar("_E", bound=StrEnum)


class Key(StrEnum):
    """The place of the API key."""

    ENV = "env"
    FILE = "file"
    HASHICORP = "hashicorp"
    SANDBOX = "sandbox"


class Start(StrEnum):
    """The policy to start from."""

    READONLY = "readonly"
    RESPONDER = "responder"
    ADMIN = "admin"


class Region(StrEnum):
    """The region of the account."""

    US = "us"
    EU = "eu"


_MEANINGS: Mapping[StrEnum, str] = {
    Key.ENV: "the environment, PAGERDUTY_API_KEY",
    Key.FILE: "an encrypted file",
    Key.HASHICORP: "HashiCorp Vault",
    Key.SANDBOX: "no account yet: everything goes to the embedded sandbox",
    Start.READONLY: "read only",
    Start.RESPONDER: "manage incidents, not the infrastructure",
    Start.ADMIN: "everything; HIGH operations wait for a reviewer",
    Region.US: "api.pagerduty.com",
    Region.EU: "api.eu.pagerduty.com",
}
_POLICIES: Mapping[Start, tuple[str, ...]] = {
    Start.READONLY: ("pd-oncall-readonly.yaml",),
    Start.RESPONDER: ("pd-incident-responder.yaml", "pd-no-maintenance.yaml"),
    Start.ADMIN: ("pd-full-admin.yaml",),
}


@frozen
class Answers:
    """The answers to the three questions."""

    key: Key
    policy: Start
    region: Region


def init(
    folder: Annotated[Path, typer.Option(help="Where to write arx.toml and policy.yaml.")] = Path(),
    key: Annotated[Key | None, typer.Option(help="Where the API key is kept.")] = None,
    policy: Annotated[Start | None, typer.Option(help="The policy to start from.")] = None,
    region: Annotated[Region | None, typer.Option(help="Where the account is.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: env, readonly, us where not given.")] = False,
    output: Format = Output.TABLE,
) -> None:
    """Write arx.toml and policy.yaml, after three questions. Never overwrites a file.

    No secret is asked for, and none is written.
    """
    settings, policies = folder / "arx.toml", folder / "policy.yaml"
    for file in (settings, policies):
        if file.exists() or file.is_symlink():
            raise _existing(file)
    if not yes and None in (key, policy, region) and not sys.stdin.isatty():
        raise ConfigError("There is no terminal to ask on: give --key, --policy and --region, or --yes.")
    answers = Answers(
        key or (Key.ENV if yes else _ask("Where is the API key kept?", Key, Key.ENV)),
        policy or (Start.READONLY if yes else _ask("What may agents do, to begin with?", Start, Start.READONLY)),
        region or (Region.US if yes else _ask("Where is the account?", Region, Region.US)),
    )
    _write(policies, _policy(answers.policy))
    _write(settings, _settings(answers))
    if output is Output.JSON:
        print_json({"files": [str(settings), str(policies)], "next": _next(answers)})
        return
    say(f"Wrote {settings} and {policies}. Next:\n")
    for step in _next(answers):
        say(f"  {step}")


def _ask(question: str, choices: type[_E], default: _E) -> _E:
    warn(question)
    for choice in choices:
        warn(f"  {choice.value:10} {_MEANINGS[choice]}")
    while True:
        answer = ask("?", default=default.value, suffix=" ")
        if answer.strip().lower() in list(choices):
            return choices(answer.strip().lower())
        warn(f"It is one of {', '.join(choices)}.")


def _settings(answers: Answers) -> str:
    lines = ['policy = "policy.yaml"  # beside this file']
    if answers.key is Key.SANDBOX:
        lines.append("sandbox = true  # remove this line to use your own account")
    if answers.region is Region.EU:
        lines += ["", "[pagerduty]", 'base_url = "https://api.eu.pagerduty.com"']
    if answers.key is Key.FILE:
        vault = user_folder(os.environ, "XDG_CONFIG_HOME", ".config").absolute() / "arx" / "vault"
        lines += [
            "",
            "[vault]",
            f"url = {json.dumps(f'file://{vault}')}  # encrypted; `arx-pagerduty vault set` makes it",
        ]
    if answers.key is Key.HASHICORP:
        lines += ["", "[vault]", 'url = "hashicorp://secret/pagerduty"  # KV v2: mount, then path']
    return "\n".join([*lines, ""])


def _policy(start: Start) -> str:
    folder = files("arx_wrapper.pagerduty") / "policies"
    return "".join((folder / name).read_text("utf-8") for name in _POLICIES[start])


def _next(answers: Answers) -> Sequence[str]:
    steps = {
        Key.ENV: ["export PAGERDUTY_API_KEY=...  PAGERDUTY_REQUESTER_EMAIL=bot@yourorg.com"],
        Key.FILE: [
            'export ARX_VAULT_KEY="$(head -c 32 /dev/urandom | base64)"  # keep it safe',
            "arx-pagerduty vault set --email bot@yourorg.com",
        ],
        Key.HASHICORP: [
            "export VAULT_ADDR=https://vault.example:8200  VAULT_TOKEN=...  # or AppRole, Kubernetes: vault --help",
            "arx-pagerduty vault set --email bot@yourorg.com",
        ],
        Key.SANDBOX: [],
    }[answers.key]
    return [*steps, "arx-pagerduty doctor", "arx-pagerduty incidents list"]


def _existing(file: Path) -> ConfigError:
    return ConfigError(f"{file} exists already, and `init` never overwrites a file. Name another --folder.")


def _write(file: Path, text: str) -> None:
    """Write a new file. ConfigError when there is one, even if it was made a moment ago."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise _existing(file) from None
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}.") from None
