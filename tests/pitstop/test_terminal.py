"""A console whose terminal or pipe closes goes on without an error."""

import os
import subprocess
import sys

from tests.serving import PROJECT

_CODE = """
import os, sys
from pitstop.report.terminal import LastingOutput, plain_console
console = plain_console(file=LastingOutput(sys.stdout))
sys.stdin.readline()
for _ in range(3):
    console.print("a line")
os.write(2, b"still here")
"""


def test_what_is_written_after_a_pipe_has_closed_is_lost_and_nothing_fails() -> None:
    read, write = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", _CODE],
        stdin=subprocess.PIPE,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
    ) as child:
        os.close(write)
        os.close(read)
        _, said = child.communicate("\n", timeout=60)
    assert (child.returncode, said) == (0, "still here")
