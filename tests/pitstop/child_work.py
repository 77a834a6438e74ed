"""What test_child_process.py has done in a process of its own."""

import ctypes
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from pitstop.child_process import Report


def work(order: Any, report: Report) -> None:
    """Report the order, then end as it says."""
    report(order)
    print("the model prints")
    if order == "signal":
        ctypes.string_at(0)
    elif order == "exit":
        os._exit(3)
    elif order == "sys.exit":
        sys.exit(0)
    elif order == "raise":
        raise RuntimeError("the disk is on fire")
    elif order == "fork and exit" and os.fork() == 0:
        sys.exit(0)
    elif order == "fork and go on":
        os.fork()
    elif order == "hang":
        threading.Event().wait()
    report(os.environ.get("PITSTOP_TEST", ""))


def leaves_files(order: Any, report: Report) -> None:
    folder = tempfile.gettempdir()
    Path(folder, "left").write_text("")
    report(folder)
    own_pid(order, report)


def kernels(_: Any, report: Report) -> None:
    report(os.environ["TORCHINDUCTOR_CACHE_DIR"])


def own_pid(order: Any, report: Report) -> None:
    report(os.getpid())
    work(order, report)
