"""Configuration: constructor, environment, arx.toml, default, in that order; what is wrong is named."""

from __future__ import annotations

import base64
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from arx_wrapper import Config, ConfigError
from arx_wrapper.urls import Proxy


def load(folder: Path, **environ: str) -> Config:
    return Config.load({"HOME": str(folder / "home"), "USER": "ada", **environ}, folder)


def test_the_defaults_deny_everything_and_log_to_the_users_state_folder(tmp_path: Path) -> None:
    config = load(tmp_path)
    assert config.policy is None
    assert config.audit_url == f"sqlite:///{tmp_path}/home/.local/state/arx/audit.db"
    assert config.approvals_url == config.audit_url
    assert (config.approvals_mode, config.approvals_ttl) == ("wait", 3600)
    assert (config.agent_id, config.org_id) == ("cli:ada", "default")
    assert (config.vault_url, config.base_url, config.sandbox) == ("env:", "https://api.pagerduty.com", False)


def test_an_agent_on_the_command_line_is_the_systems_user_when_no_variable_names_one(tmp_path: Path) -> None:
    name = pwd.getpwuid(os.geteuid()).pw_name
    assert load(tmp_path, USER="").agent_id == f"cli:{name}"
    assert load(tmp_path, USER="", LOGNAME="bob").agent_id == "cli:bob"


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "arx.toml").write_text('policy = "file.yaml"\norg_id = "acme"\n[audit]\nurl = "sqlite:///a.db"\n')
    config = load(tmp_path, ARX_POLICY="env.yaml")
    assert (config.policy, config.org_id, config.audit_url) == ("env.yaml", "acme", f"sqlite:///{tmp_path}/a.db")


@pytest.mark.parametrize(
    ("variable", "key", "value", "attribute", "expected"),
    [
        ("ARX_POLICY", "policy", "/p.yaml", "policy", "/p.yaml"),
        ("ARX_AUDIT_URL", "audit.url", "postgresql://h/d", "audit_url", "postgresql://h/d"),
        ("ARX_APPROVALS_URL", "approvals.url", "sqlite:////a.db", "approvals_url", "sqlite:////a.db"),
        ("ARX_APPROVALS_MODE", "approvals.mode", "raise", "approvals_mode", "raise"),
        ("ARX_APPROVALS_TTL", "approvals.ttl", 60, "approvals_ttl", 60.0),
        ("ARX_APPROVALS_PROOF", "approvals.proof", "name", "proof", "name"),
        ("ARX_AGENT_ID", "agent_id", "agent-001", "agent_id", "agent-001"),
        ("ARX_ORG_ID", "org_id", "org-acme", "org_id", "org-acme"),
        ("ARX_VAULT_URL", "vault.url", "hashicorp://m/p", "vault_url", "hashicorp://m/p"),
        ("PAGERDUTY_BASE_URL", "pagerduty.base_url", "https://api.eu.pagerduty.com", "base_url", None),
        (
            "PAGERDUTY_PROXY",
            "pagerduty.proxy",
            "http://127.0.0.1:3128",
            "proxy",
            Proxy(scheme="http", host="127.0.0.1", port=3128),
        ),
        ("ARX_SANDBOX", "sandbox", "/state.json", "sandbox_state", "/state.json"),
        ("ARX_AUDIT_CAPTURE", "audit.capture", "params", "capture_params", True),
    ],
)
def test_a_documented_setting_is_read_from_its_variable_and_its_key(
    tmp_path: Path, variable: str, key: str, value: object, attribute: str, expected: object
) -> None:
    section, _, name = key.rpartition(".")
    (tmp_path / "arx.toml").write_text((f"[{section}]\n" if section else "") + f"{name} = {json.dumps(value)}\n")
    from_key = load(tmp_path)
    (tmp_path / "arx.toml").unlink()
    for config in (from_key, load(tmp_path, **{variable: str(value)})):
        assert getattr(config, attribute) == (value if expected is None else expected)


def test_the_users_file_is_read_when_the_folder_has_none(tmp_path: Path) -> None:
    (tmp_path / "config" / "arx").mkdir(parents=True)
    (tmp_path / "config" / "arx" / "arx.toml").write_text('[pagerduty]\nbase_url = "https://api.eu.pagerduty.com"\n')
    config = load(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert config.base_url == "https://api.eu.pagerduty.com"


def test_the_sandbox_has_a_log_of_its_own(tmp_path: Path) -> None:
    assert load(tmp_path, ARX_SANDBOX="1").audit_url.endswith("/arx/sandbox.db")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("polcy = 'x'", "did you mean 'policy'"),
        ("[audit]\nulr = 'x'", "did you mean 'audit.url'"),
        ("policy = 3", "policy: must be text"),
        ("[approvals]\nmode = 'ask'", "'wait' or 'raise'"),
        ("[approvals]\nttl = 0", "seconds"),
        ("[approvals]\nttl = true", "seconds"),
        ("sandbox = 'perhaps'", "1 or 0, or the path"),
        ("policy = ", "cannot be read"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "arx.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"arx\.toml") as error:
        load(tmp_path)
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ARX_APPROVALS_MODE", "ask"),
        ("ARX_APPROVALS_TTL", "soon"),
        ("ARX_SANDBOX", "perhaps"),
        ("ARX_AUDIT_CAPTURE", "all"),
    ],
)
def test_a_broken_variable_is_named(tmp_path: Path, variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=variable):
        load(tmp_path, **{variable: value})


KEY = "A" * 43 + "="


def test_reviewers_and_channels_come_from_the_file_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "arx.toml").write_text(
        f'[approvals]\npending_cap = 5\nreviewers = {{alice = "{KEY}"}}\n'
        '[approvals.slack]\nchannel = "#ops"\nusers = {U1 = "alice"}\n'
        '[approvals.webhook]\nurl = "https://example.com/hook"\n'
    )
    config = load(tmp_path)
    assert (config.pending_cap, config.reviewers) == (5, {"alice": KEY})
    assert config.slack is not None
    assert (config.slack.channel, config.slack.users, config.slack.team) == ("#ops", {"U1": "alice"}, None)
    assert config.webhook_url == "https://example.com/hook"
    other = load(tmp_path, ARX_REVIEWERS=f"bob={KEY}", ARX_SLACK_CHANNEL="#x", ARX_APPROVALS_PENDING_CAP="7")
    assert (other.reviewers, other.slack and other.slack.channel, other.pending_cap) == ({"bob": KEY}, "#x", 7)


def test_a_policy_that_the_file_names_is_beside_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "arx"
    folder.mkdir(parents=True)
    (folder / "arx.toml").write_text('policy = "policy.yaml"\n')
    assert load(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config")).policy == str(folder / "policy.yaml")
    assert load(tmp_path, XDG_CONFIG_HOME=str(tmp_path / "config"), ARX_POLICY="here.yaml").policy == "here.yaml"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[approvals]\nreviewers = {alice = "short"}', "approvals.reviewers: the key of 'alice' must be an Ed25519"),
        (f'[approvals]\nreviewers = {{alice = "!{KEY}"}}', "the key of 'alice' must be an Ed25519 public key"),
        (f'[approvals]\nreviewers = {{alice = "{KEY}\\n"}}', "the key of 'alice' must be an Ed25519 public key"),
        ("[approvals]\nreviewers = {}", "approvals.reviewers: must be a table of names that is not empty"),
        ("[approvals]\nreviewers = {alice = 3}", "approvals.reviewers: 'alice' must be text"),
        ("[approvals]\npending_cap = 0", "approvals.pending_cap: must be a whole number"),
        ("[approvals]\npending_cap = true", "approvals.pending_cap: must be a whole number"),
        ('[approvals.slack]\ntoken = "xoxb-1"', "SLACK_BOT_TOKEN"),
        ('[approvals.slack]\nteam = "T1"', "approvals.slack.channel (ARX_SLACK_CHANNEL) is missing"),
        ('[approvals.slack]\nbase_url = "https://x"', "'approvals.slack.base_url' is not a setting"),
        ("[approvals.slack]", "[approvals.slack] is a section without settings"),
        ("[audit]", "[audit] is a section without settings"),
        ("audit = 3", "[audit] is a section without settings"),
        ('[approvals.webhook]\nurl = "http://example.com"', "approvals.webhook.url: must be an https:// address"),
        ('[approvals.webhook]\nsecret = "x"', "ARX_WEBHOOK_SECRET"),
        ('[pagerduty]\napi_key = "x"', "PAGERDUTY_API_KEY"),
    ],
)
def test_approvals_that_are_set_up_wrong_are_named_with_their_key(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "arx.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"arx\.toml: ") as error:
        load(tmp_path)
    assert named in str(error.value)


def test_a_webhooks_address_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load(tmp_path, ARX_WEBHOOK_URL="http://example.com/s3cr3t")
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example",
        "https://evilpagerduty.com",
        "https://api.pagerduty.com.evil.example",
        "https://api.pagerduty.com@evil.example",
        "http://127.0.0.1:8080",
        "https://localhost",
    ],
)
def test_a_file_cannot_send_the_key_to_another_host(tmp_path: Path, address: str) -> None:
    (tmp_path / "arx.toml").write_text(f'[pagerduty]\nbase_url = "{address}"\n')
    with pytest.raises(ConfigError, match=r"pagerduty\.base_url: must be on pagerduty\.com"):
        Config.load({}, tmp_path)
    (tmp_path / "arx.toml").write_text('[pagerduty]\nbase_url = "https://api.eu.pagerduty.com"\n')
    assert Config.load({}, tmp_path).base_url == "https://api.eu.pagerduty.com"
    assert Config.load({"PAGERDUTY_BASE_URL": "https://proxy.example"}, tmp_path).base_url == "https://proxy.example"


NOWHERE = """
import os, pathlib, sys
from arx_wrapper import Config, ConfigError
os.chdir(sys.argv[1])
pathlib.Path(sys.argv[1]).rmdir()
try:
    Config.load()
except ConfigError as error:
    print(error)
"""


def test_without_a_working_directory_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = [sys.executable, "-c", NOWHERE, str(tmp_path / "gone")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)  # noqa: S603 - this interpreter
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "The working directory cannot be read" in ran.stdout


HOMELESS = """
import os, sys
from arx_wrapper import Config, ConfigError
os.setuid(54321)
print(Config.load({"ARX_AUDIT_URL": "sqlite:///given.db"}).audit_url)
try:
    Config.load({})
except ConfigError as error:
    print(error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user that has no home")
def test_a_user_without_a_home_needs_to_say_where_the_log_is(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOMELESS]
    environ = {name: value for name, value in os.environ.items() if name != "HOME"}
    ran = subprocess.run(  # noqa: S603 - this interpreter
        command, cwd="/", env=environ, capture_output=True, text=True, timeout=30
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    url, error = ran.stdout.splitlines()
    assert url == "sqlite:///given.db"
    assert error == "The user 54321 has no home folder. Set HOME or XDG_STATE_HOME. Nothing was sent."


def test_addresses_that_the_file_gives_are_beside_the_file_and_the_environments_are_as_given(tmp_path: Path) -> None:
    folder = tmp_path / "config" / "arx"
    folder.mkdir(parents=True)
    (folder / "arx.toml").write_text(
        '[audit]\nurl = "sqlite:///var/audit.db"\n[approvals]\nurl = "sqlite:////srv/approvals.db"\n'
    )
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    config = load(tmp_path, **environ)
    assert config.audit_url == f"sqlite:///{folder}/var/audit.db"
    assert config.approvals_url == "sqlite:////srv/approvals.db"
    assert load(tmp_path, ARX_AUDIT_URL="sqlite:///x.db", **environ).audit_url == "sqlite:///x.db"
    (folder / "arx.toml").write_text('[audit]\nurl = "postgresql://host/arx"\n')
    assert load(tmp_path, **environ).audit_url == "postgresql://host/arx"


def test_a_file_that_is_named_is_read_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "arx.toml").write_text('org_id = "of the folder"\n')
    named = tmp_path / "elsewhere.toml"
    named.write_text('org_id = "named"\npolicy = "p.yaml"\n')
    assert load(tmp_path, ARX_CONFIG=str(named)).org_id == "named"
    config = Config.load({}, tmp_path, file=named)
    assert (config.org_id, config.policy, config.file) == ("named", str(tmp_path / "p.yaml"), named)
    with pytest.raises(ConfigError, match=r"no configuration file .*gone\.toml"):
        load(tmp_path, ARX_CONFIG=str(tmp_path / "gone.toml"))


def test_the_working_directory_decides_nothing_where_it_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "arx.toml").write_text('org_id = "planted"\npolicy = "planted.yaml"\n')
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path / "home")}
    assert Config.load(environ).org_id == "planted"
    config = Config.load(environ, working_folder=False)
    assert (config.org_id, config.policy, config.file) == ("default", None, None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ARX_CONFIG", "arx.toml"),
        ("ARX_POLICY", "policy.yaml"),
        ("ARX_AUDIT_URL", "sqlite:///audit.db"),
        ("ARX_APPROVALS_URL", "sqlite:///approvals.db"),
        ("SSL_CERT_FILE", "ca.pem"),
    ],
)
def test_a_relative_path_is_refused_where_the_working_directory_does_not_count(
    tmp_path: Path, variable: str, value: str
) -> None:
    with pytest.raises(ConfigError, match=f"{variable} is a relative path"):
        Config.load({"HOME": str(tmp_path), variable: value}, working_folder=False)
    whole = value.replace("sqlite:///", f"sqlite:///{tmp_path}/") if ":" in value else str(tmp_path / value)
    Path(tmp_path / value.removeprefix("sqlite:///")).touch()
    Config.load({"HOME": str(tmp_path), variable: whole}, working_folder=False)


def test_a_proxy_is_set_by_the_file_or_the_environment_and_never_by_the_environments_own_variables(
    tmp_path: Path,
) -> None:
    assert load(tmp_path, HTTPS_PROXY="http://proxy.example:1", ALL_PROXY="http://proxy.example:1").proxy is None
    (tmp_path / "arx.toml").write_text(
        '[pagerduty]\nproxy = "http://proxy.example:3128"\nno_proxy = ["vault.internal", ".corp.example"]\n'
    )
    proxy = load(tmp_path).proxy
    assert proxy is not None
    assert (proxy.address, proxy.authorization()) == ("http://proxy.example:3128", None)
    assert proxy.serves("api.pagerduty.com")
    for direct in (
        "vault.internal",
        "VAULT.internal",
        "corp.example",
        "a.corp.example",
        "localhost",
        "127.0.0.1",
        "::1",
    ):
        assert not proxy.serves(direct), direct
    for near in ("notvault.internal.example", "evilcorp.example", "corp.example.evil"):
        assert proxy.serves(near), near
    other = load(
        tmp_path, PAGERDUTY_PROXY="https://user:s3cr%2Ft@other.example", PAGERDUTY_NO_PROXY="a.example,b.example"
    )
    assert other.proxy is not None
    assert other.proxy.address == "https://other.example:443"
    assert other.proxy.authorization() == "Basic " + base64.b64encode(b"user:s3cr/t").decode()
    assert not other.proxy.serves("b.example")
    assert "s3cr" not in repr(other)


@pytest.mark.parametrize(
    "address",
    ["proxy.example:3128", "socks5://proxy.example", "http://", "http://proxy.example/path", "http://h:0", "x"],
)
def test_what_is_no_proxy_is_named_and_not_shown(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match=r"PAGERDUTY_PROXY: must be an http:// or https://") as refused:
        load(tmp_path, PAGERDUTY_PROXY=address)
    assert "proxy.example" not in str(refused.value)


def test_a_file_holds_no_password_of_a_proxy(tmp_path: Path) -> None:
    (tmp_path / "arx.toml").write_text('[pagerduty]\nproxy = "http://user:s3cr3t@proxy.example:3128"\n')
    with pytest.raises(ConfigError, match="set PAGERDUTY_PROXY instead") as refused:
        load(tmp_path)
    assert "s3cr3t" not in str(refused.value)
    assert load(tmp_path, PAGERDUTY_PROXY="http://user:s3cr3t@proxy.example:3128").proxy is not None


def test_a_configuration_shows_no_password(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        ARX_AUDIT_URL="postgresql://arx:s3cr3t@host/arx",
        PAGERDUTY_BASE_URL="https://user:s3cr3t@api.pagerduty.com",
        PAGERDUTY_PROXY="http://user:s3cr3t@proxy.example",
        ARX_WEBHOOK_URL="https://hooks.example/s3cr3t",
    )
    assert "s3cr3t" not in repr(config)


@pytest.mark.parametrize("variable", ["XDG_CONFIG_HOME", "HOME"])
def test_a_relative_folder_of_the_user_is_no_folder_in_the_working_directory(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    below = {"XDG_CONFIG_HOME": "own/arx", "HOME": "own/.config/arx"}[variable]
    (tmp_path / below).mkdir(parents=True)
    (tmp_path / below / "arx.toml").write_text('agent_id = "planted"\n')
    config = Config.load({variable: "own"}, working_folder=False)
    assert config.agent_id != "planted"
