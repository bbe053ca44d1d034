"""Set-up instructions work as they are pasted, and two agent libraries use the server."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from tests.mcp.conftest import COMMAND, Deployment, structured

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "mcp-clients.md").read_text("utf-8")
PLACE = "/home/you/.local/bin/arx-pagerduty"
LIBRARIES = ["langchain-mcp-adapters==0.3.2", "openai-agents==0.24.0"]


def configurations() -> list[tuple[str, dict[str, Any]]]:
    """The servers of the page's JSON blocks, by the heading above each."""
    found = []
    for section in PAGE.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL):
            document = json.loads(block)
            servers = document.get("mcpServers") or document["servers"]
            found.append((heading, servers["pagerduty"]))
    return found


def command_file(folder: Path) -> Path:
    """The command, at a path of its own: what `arx-pagerduty` is after an installation."""
    file = folder / "arx-pagerduty"
    file.write_text(f"#!{COMMAND[0]}\nimport sys\nfrom arx_wrapper.cli import main\nsys.exit(main())\n")
    file.chmod(0o755)
    return file


def test_the_page_has_every_client() -> None:
    assert {heading for heading, _ in configurations()} == {
        "Claude Desktop", "Claude Code", "Cursor", "VS Code", "Windsurf",
    }  # fmt: skip
    assert "LangChain" in PAGE
    assert "OpenAI Agents SDK" in PAGE


@pytest.mark.slow
@pytest.mark.parametrize(("client", "server"), configurations(), ids=lambda value: str(value)[:20])
async def test_a_pasted_configuration_serves_the_tools(
    deployment: Deployment, tmp_path: Path, client: str, server: dict[str, Any]
) -> None:
    file = command_file(tmp_path)
    command = shutil.which(server["command"]) if server["command"] != PLACE else str(file)
    arguments = [argument.replace(PLACE, str(file)) for argument in server["args"]]
    assert command is not None
    assert server["command"].startswith("/"), "clients do not look for commands on the user's PATH"

    def meant(value: str) -> str:
        """Return a value as the client, or the page's reader, fills it in."""
        value = re.sub(r"\$\{(?:env:|input:)?(\w+)\}", lambda found: deployment.environ[found[1]], value)
        return value.replace("/home/you/arx/policy.yaml", str(deployment.policy))

    environ = {name: meant(value) for name, value in server.get("env", {}).items()}
    arguments = [meant(argument) for argument in arguments]
    kept = {name: value for name, value in deployment.environ.items() if name != "ARX_POLICY"}
    parameters = StdioServerParameters(command=command, args=arguments, env=kept | environ)
    async with Client(parameters) as connected:
        assert len((await connected.list_tools()).tools) > 40
        assert structured(await connected.call_tool("teams_read", {}))["done"] is True


@pytest.fixture(scope="module")
def python(request: pytest.FixtureRequest) -> Path:
    """An interpreter with both libraries, whose MCP SDK is an older one than ours."""
    assert request.config.cache
    folder = Path(request.config.cache.mkdir("agent-libraries"))
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "-q", *LIBRARIES]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603
        if done.returncode:
            pytest.skip(f"the libraries cannot be installed: {done.stderr.strip()[-200:]}")
        (folder / "done").touch()
    return python


@pytest.mark.slow
@pytest.mark.timeout(700)
@pytest.mark.parametrize("example", ["langchain_tools.py", "openai_agent.py"])
def test_agent_libraries_list_and_call_the_tools(
    deployment: Deployment, tmp_path: Path, python: Path, example: str
) -> None:
    script = ROOT / "examples" / "agents" / example
    environ = {name: value for name, value in deployment.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(  # noqa: S603 - an example of ours
        [str(python), str(script), str(command_file(tmp_path))],
        env=environ, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"\b4\d tools", done.stdout)
    assert "Data" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(700)
def test_openais_own_conversion_to_strict_takes_every_schema(deployment: Deployment, python: Path) -> None:
    from arx_wrapper import PagerDutyConnector
    from arx_wrapper.mcp.tools import Tools
    from tests.support import ASK_ABOUT_HIGH

    tools = Tools(PagerDutyConnector.sandbox(policies=[ASK_ABOUT_HIGH])).offered()
    script = (
        "import json, sys\nfrom agents.strict_schema import ensure_strict_json_schema\n"
        "for schema in json.load(sys.stdin): ensure_strict_json_schema(schema)\n"
    )
    schemas = json.dumps([tool.input_schema for tool in tools])
    command = [str(python), "-c", script]
    done = subprocess.run(command, input=schemas, text=True, capture_output=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
