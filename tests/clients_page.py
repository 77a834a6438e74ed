"""The blocks of docs/clients.md, each with what the page shows that it prints."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass

from tests.serving import PROJECT, Serving

PAGE = (PROJECT / "docs" / "clients.md").read_text()
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n\n```\n(.*?)^```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """A block, its language, its section and what it prints."""

    section: str
    language: str
    text: str
    printed: str

    @property
    def client(self) -> str:
        """The first of these that it names."""
        known = ("aiohttp", "tritonclient", "stubs", "openai", "fetch", "curl")
        return next((each for each in known if each in self.text), "requests")


def snippets() -> list[Snippet]:
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    return [Snippet(each.partition("\n")[0], *found) for each in sections for found in _BLOCK.findall(each)]


def output(snippet: Snippet, serving: Serving, interpreter: str = sys.executable) -> str:
    """Run a snippet in the project's root, at this server in place of the page's; return what it prints."""
    ports = {"8000": serving.port, "8001": serving.grpc_port}
    text = re.sub(r"localhost:(\d{4})", lambda found: f"127.0.0.1:{ports[found[1]]}", snippet.text)
    commands = {
        "bash": ["bash", "-c", re.sub("^curl ", "curl -s ", text)],
        "python": [interpreter, "-c", text],
        "js": ["node", "--input-type=module", "-e", text],
    }
    environment = {**os.environ, "PITSTOP_TOKEN": "any"}
    done = subprocess.run(
        commands[snippet.language],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.rstrip("\n") + "\n"
