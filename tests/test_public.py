"""Other code may rely on names, the error tree, imports that stay light."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import pytest

import arx_wrapper
from arx_wrapper import errors
from arx_wrapper.audit import AuditRecord
from arx_wrapper.audit.record import ActionType, Status

TREE = {
    "ArxError": "Exception",
    "ConfigError": "ArxError",
    "PolicyError": "ArxError",
    "CredentialError": "ArxError",
    "AuditError": "ArxError",
    "UnknownOperationError": "ArxError",
    "InvalidParamsError": "ArxError",
    "PermissionDeniedError": "ArxError",
    "ApprovalError": "ArxError",
    "ApprovalPendingError": "ApprovalError",
    "ApprovalDeniedError": "ApprovalError",
    "ApprovalExpiredError": "ApprovalError",
    "PaginationLimitError": "ArxError",
    "PagerDutyError": "ArxError",
    "AuthenticationError": "PagerDutyError",
    "ForbiddenError": "PagerDutyError",
    "NotFoundError": "PagerDutyError",
    "ConflictError": "PagerDutyError",
    "ValidationError": "PagerDutyError",
    "RateLimitError": "PagerDutyError",
    "ServerError": "PagerDutyError",
    "EndpointRetiredError": "PagerDutyError",
    "TransportError": "PagerDutyError",
}


def test_the_error_tree_is_the_contracts() -> None:
    assert {name: getattr(errors, name).__bases__[0].__name__ for name in errors.__all__} == TREE


def test_errors_have_the_documented_attributes() -> None:
    for error, names in (
        (errors.PolicyError("p"), "file line key"),
        (errors.AuditError("a"), "sent"),
        (errors.UnknownOperationError("o"), "operation nearest"),
        (errors.InvalidParamsError("o", "p", "is missing", "text"), "operation param accepted"),
        (errors.ApprovalPendingError("a", approval_id="1"), "approval_id"),
        (errors.PagerDutyError("m"), "status code message errors request_id operation"),
        (errors.RateLimitError("m", retry_after=1.0), "status code message errors request_id operation retry_after"),
        (errors.TransportError("m", outcome="unknown"), "status code message errors request_id operation outcome"),
    ):
        assert set(names.split()) <= set(vars(error))


def test_a_record_has_the_documented_members_kinds_and_states() -> None:
    assert AuditRecord.__struct_fields__ == (
        "id", "seq", "created_at", "org_id", "agent_id", "action_type", "connector", "operation", "method", "path",
        "risk", "policy_verdict", "policy", "reason", "approval_id", "status", "inputs_hash", "outputs_hash",
        "duration_ms", "error", "metadata", "prev_hash", "hash",
    )  # fmt: skip
    assert set(get_args(ActionType)) == {
        "connector.called", "connector.completed", "connector.refused", "approval.requested", "approval.reviewed",
        "policy.loaded", "agent.suspended", "agent.resumed", "reviewer.enrolled", "reviewer.removed", "log.sealed",
        "log.removed",
    }  # fmt: skip
    assert set(get_args(Status)) == {"in_progress", "success", "error", "unknown", "blocked", "escalated"}


@pytest.mark.parametrize("name", TREE)
def test_the_modules_docstring_shows_every_error(name: str) -> None:
    assert name in (errors.__doc__ or "")


@pytest.mark.parametrize("name", arx_wrapper.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(arx_wrapper, name) is not None
    assert name in dir(arx_wrapper)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        arx_wrapper.no_such_name  # noqa: B018


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout


def test_both_names_import_the_same_connector() -> None:
    program = """
from app.connectors.pagerduty import PagerDutyConnector
import app, arx_wrapper
assert PagerDutyConnector is arx_wrapper.PagerDutyConnector
assert app.__file__ is None, "a namespace package"
print("same")
"""
    assert run(program) == "same\n"


def test_the_alias_lives_beside_a_hosts_own_app_package(tmp_path: object) -> None:
    from pathlib import Path

    host = Path(str(tmp_path)) / "app" / "services"
    host.mkdir(parents=True)
    (host / "__init__.py").write_text("here = True\n")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from app.services import here
from app.connectors.pagerduty import PagerDutyConnector
print(here, PagerDutyConnector.__name__)
"""
    assert run(program) == "True PagerDutyConnector\n"


def test_importing_the_connector_opens_no_room_that_is_not_used() -> None:
    program = """
import sys
import app.connectors.pagerduty
heavy = ("httpx", "aiohttp", "yaml", "sqlite3", "starlette", "typer", "cryptography", "psycopg", "tenacity")
print([name for name in heavy if name in sys.modules])
"""
    assert run(program) == "[]\n"
