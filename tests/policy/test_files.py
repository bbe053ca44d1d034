"""Policy files: what is wrong is named with its place, and never costs memory or replaces what is in force."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from arx_wrapper import PolicyError, Verdict
from arx_wrapper.pagerduty.operations import RISKS
from arx_wrapper.policy import Policies, load, schema
from tests.policy.support import NOW, bare

GOOD = "- name: a\n  connector: pagerduty\n  operations: ['incidents:*']\n  risk_max: medium\n  approval: none\n"


def entry(*lines: str) -> str:
    return "- name: a\n  connector: pagerduty\n" + "".join(f"  {line}\n" for line in lines)


BROKEN = {
    "not a list": ("name: a\n", "must be a list"),
    "no name": ("- connector: pagerduty\n  deny: ['rules:*']\n", "'name' is missing"),
    "no connector": ("- name: a\n  deny: ['rules:*']\n", "'connector' is missing"),
    "connector in the wrong case": ("- name: a\n  connector: PagerDuty\n  deny: ['rules:*']\n", "mean 'pagerduty'"),
    "connector with a hyphen": ("- name: a\n  connector: pager-duty\n  deny: ['rules:*']\n", "mean 'pagerduty'"),
    "connector misspelt": ("- name: a\n  connector: pagerdty\n  deny: ['rules:*']\n", "mean 'pagerduty'"),
    "nothing to do": (entry(), "no 'operations', 'deny' or 'hide'"),
    "unknown key": (entry("denny: ['rules:*']"), "did you mean 'deny'"),
    "unknown operation": (entry("deny: ['incidents:reslove']"), "did you mean 'incidents:resolve'"),
    "glob about nothing": (entry("deny: ['incidents:notes:*']"), "matches no operation"),
    "glob in the wrong case": (entry("deny: ['Incidents:*']"), "matches no operation"),
    "duplicate key": (entry("deny: ['rules:*']", "deny: []"), "'deny' twice"),
    "duplicate name": (entry("deny: ['rules:*']") * 2, "used twice"),
    "deny as text": (entry("deny: 'rules:*'"), "must be a list"),
    "deny empty": (entry("deny: []"), "must be a list"),
    "deny null": (entry("deny:"), "must be a list"),
    "bad risk": (entry("operations: ['rules:*']", "risk_max: huge"), "low, medium or high"),
    "no risk": (entry("operations: ['rules:*']"), "'risk_max' is missing"),
    "bad approval": (entry("deny: ['rules:*']", "approval: maybe"), "none, auto or hitl"),
    "bad approval level": (entry("deny: ['rules:*']", "approval: {severe: hitl}"), "not a risk"),
    "unquoted channel": (entry("deny: ['rules:*']", "hitl_channel: #ops"), "must be quoted"),
    "yaml 1.1 off": (entry("deny: ['rules:*']", "enforce: off"), "true or false"),
    "time without zone": (entry("deny: ['rules:*']", "expires: 2026-01-01T00:00:00"), "no zone"),
    "no time": (entry("deny: ['rules:*']", "expires: soon"), "a time like"),
    "bad limit": (entry("deny: ['rules:*']", "limits: {'rules:create': '10 per hour'}"), "write 10/hour"),
    "limit on nothing": (entry("deny: ['rules:*']", "limits: {'rules:make': 10/hour}"), "matches no operation"),
    "hide as text": (entry("hide: email"), "must be a list"),
    "hide nothing": (entry("hide: []"), "must be a list"),
    "no member": (entry("hide: ['user email']"), "is not a member"),
    "no path": (entry("hide: ['user..email']"), "is not a member"),
    "a path that ends early": (entry("hide: ['user.']"), "is not a member"),
    "show of nothing": (entry("show: [email]"), "would do nothing"),
    "show as a number": (entry("deny: ['rules:*']", "show: [1]"), "must be text"),
    "no reviewers": (entry("deny: ['rules:*']", "reviewers: []"), "must be a list"),
    "no reviewer's name": (entry("deny: ['rules:*']", "reviewers: ['<alice>']"), "neither a reviewer's name"),
    "no group's name": (entry("deny: ['rules:*']", "reviewers: ['group:']"), "neither a reviewer's name"),
    "a reviewer twice": (entry("deny: ['rules:*']", "reviewers: [alice, bob, alice]"), "a reviewer twice"),
    "reviewers as a number": (entry("deny: ['rules:*']", "reviewers: 3"), "must be a list"),
    "on-call key": (entry("deny: ['rules:*']", "reviewers: {on_call: P1, level: [1]}"), "did you mean 'levels'"),
    "on-call of nothing": (entry("deny: ['rules:*']", "reviewers: {levels: [1]}"), "id of an escalation policy"),
    "on-call of no id": (entry("deny: ['rules:*']", "reviewers: {on_call: 'P1/x'}"), "id of an escalation policy"),
    "on-call levels": (entry("deny: ['rules:*']", "reviewers: {on_call: P1, levels: [0]}"), "whole numbers from 1"),
    "on-call level twice": (entry("deny: ['rules:*']", "reviewers: {on_call: P1, levels: [1, 1]}"), "different"),
    "on-call level as text": (entry("deny: ['rules:*']", "reviewers: {on_call: P1, levels: ['1']}"), "whole numbers"),
    "on-call level as a flag": (
        entry("deny: ['rules:*']", "reviewers: {on_call: P1, levels: [true]}"),
        "whole numbers",
    ),
    "escalate after some time": (
        entry("deny: ['rules:*']", "reviewers: {on_call: P1, escalate_after: soon}"),
        "write 90s, 5m or 1h",
    ),
    "escalate to nobody": (
        entry("deny: ['rules:*']", "reviewers: {on_call: P1, levels: [2], escalate_after: 5m}"),
        "needs a second level to escalate to",
    ),
    "requesters as text": (entry("deny: ['rules:*']", "requesters: '*@example.com'"), "must be a list"),
    "not cel": (entry("deny: ['rules:*']", "when: 'params.urgency =='"), "not CEL"),
    "alias": ("- &a\n  name: a\n- *a\n", "anchor or an alias"),
    "anchor on a key": ("- {&a name: a}\n", "anchor or a tag"),
    "tag on a key": ("- {!!int 1: a}\n", "anchor or a tag"),
    "past Unicode": ('- {name: "\\U00110000"}\n', "not YAML"),
    "an unseen character in a name": (
        '- {name: "a\\u200b", connector: pagerduty, deny: ["rules:*"]}\n',
        "invisible",
    ),
    "a space after a name": ('- {name: "a ", connector: pagerduty, deny: ["rules:*"]}\n', "spaces around"),
    "a line break in a glob": (entry("deny: ['rules:*']", 'agents: ["bot\\n"]'), "invisible"),
    "null in a channel": (entry("deny: ['rules:*']", 'hitl_channel: "#a\\0"'), "invisible"),
    "half a character": (entry("deny: ['rules:*']", 'agents: ["\\ud800"]'), "not Unicode"),
    "limit on a number": (entry("deny: ['rules:*']", "limits: {1: 10/hour}"), "matches no operation"),
    "tag": ("- !!python/object/apply:os.system ['true']\n", "tag"),
    "not yaml": ("- name: [\n", "not YAML"),
    "two documents": (GOOD + "---\n" + GOOD, "more than one document"),
    "too deep": ("- " * 30 + "x\n", "nested deeper"),
    "too large": ("#" * 1_000_001, "larger than"),
    "a bomb": ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n", "must be a list|anchor"),
}

WHOLE_FILE = {"too large", "past Unicode"}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_with_file_line_and_what_is_wrong(case: str, tmp_path: Path) -> None:
    text, named = BROKEN[case]
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError, match=named) as error:
        load(file, registry=RISKS, connector="pagerduty")
    assert error.value.file == str(file)
    assert error.value.line is not None or case in WHOLE_FILE


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load(tmp_path / "none.yaml", registry=RISKS, connector="pagerduty")


def test_a_folder_is_refused_whole_when_one_file_is_broken(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text("- name: [")
    with pytest.raises(PolicyError, match=r"b\.yaml"):
        load(tmp_path, registry=RISKS, connector="pagerduty")


def test_a_name_is_unique_across_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yaml").write_text(GOOD)
    with pytest.raises(PolicyError, match="used twice"):
        load(tmp_path, registry=RISKS, connector="pagerduty")


def test_an_empty_folder_is_an_error_not_a_policy(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"no \*\.yaml"):
        load(tmp_path, registry=RISKS, connector="pagerduty")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def live(source: Path, clock: Clock) -> Policies:
    def wall() -> float:
        return time.time() + clock.now

    return Policies(source, registry=RISKS, connector="pagerduty", clock=clock, wall=wall)


def test_a_changed_file_is_in_force_within_a_second(tmp_path: Path) -> None:
    file, clock = tmp_path / "p.yaml", Clock()
    file.write_text(GOOD)
    policies = live(file, clock)
    assert policies.decide(bare("incidents:read"), NOW).verdict is Verdict.PERMIT
    file.write_text(GOOD.replace("incidents:*", "alerts:*"))
    clock.now += 1
    assert policies.decide(bare("incidents:read"), NOW).verdict is Verdict.DENY
    assert [event.error for event in policies.drain_events()] == [None, None]


def test_a_file_that_breaks_leaves_the_last_good_one_in_force_and_says_so(tmp_path: Path) -> None:
    file, clock = tmp_path / "p.yaml", Clock()
    file.write_text(GOOD)
    policies = live(file, clock)
    policies.drain_events()
    for broken in ("- name: [", "", "- name: a"):
        file.write_text(broken)
        clock.now += 1
        assert policies.decide(bare("incidents:read"), NOW).verdict is Verdict.PERMIT
        (event,) = policies.drain_events()
        assert event.error
    file.unlink()
    clock.now += 1
    assert policies.decide(bare("incidents:read"), NOW).verdict is Verdict.PERMIT
    assert "cannot be read" in str(policies.drain_events()[0].error)


def test_a_swapped_symlink_is_noticed(tmp_path: Path) -> None:
    clock = Clock()
    for name, text in (("one", GOOD), ("two", GOOD.replace("incidents:*", "alerts:*"))):
        (tmp_path / f"{name}.yaml").write_text(text)
    moment = time.time()
    for name in ("one", "two"):
        os.utime(tmp_path / f"{name}.yaml", (moment, moment))
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "one.yaml")
    policies = live(link, clock)
    link.unlink()
    link.symlink_to(tmp_path / "two.yaml")
    clock.now += 1
    assert policies.decide(bare("incidents:read"), NOW).verdict is Verdict.DENY


def test_the_schema_takes_the_reference_policies_and_refuses_a_misspelt_key() -> None:
    from importlib.resources import files

    import jsonschema
    import yaml

    validator = jsonschema.Draft202012Validator(schema())
    for file in (files("arx_wrapper.pagerduty") / "policies").iterdir():
        validator.validate(yaml.safe_load(file.read_text("utf-8")))
    assert list(validator.iter_errors([{"name": "a", "connector": "pagerduty", "denny": ["x"]}]))


@pytest.mark.parametrize(
    "line",
    [
        "hide: [email, '*.email', contact_methods.address, '*']",
        "reviewers: alice",
        "reviewers: [alice, 'group:sre', {on_call: P1}]",
        "reviewers: {on_call: P1, levels: [1, 2], escalate_after: 5m}",
        "requesters: ['*@example.com']",
    ],
)
def test_the_schema_takes_what_the_reader_takes(line: str) -> None:
    import yaml
    from jsonschema import Draft202012Validator

    text = entry("deny: ['rules:*']", line)
    document = yaml.safe_load(text)
    Draft202012Validator(schema()).validate(document)
    load(document, registry=RISKS, connector="pagerduty")
