"""Configuration: constructor, environment, arx.toml, default, in that order; what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from arx_wrapper import Config, ConfigError


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


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "arx.toml").write_text('policy = "file.yaml"\norg_id = "acme"\n[audit]\nurl = "sqlite:///a.db"\n')
    config = load(tmp_path, ARX_POLICY="env.yaml")
    assert (config.policy, config.org_id, config.audit_url) == ("env.yaml", "acme", "sqlite:///a.db")


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
        ("sandbox = 'perhaps'", "1 or 0"),
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
