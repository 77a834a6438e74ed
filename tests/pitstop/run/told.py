"""Stands for deployments/serve_process.py: tells what its config holds, repeats its commands, and ends after a stop."""

import os
import sys
from pathlib import Path


def main() -> None:
    events, config = sys.argv[1:]
    print("printed by the server \udcff", flush=True)
    with os.fdopen(int(events), "w", buffering=1) as pipe:
        pipe.write(Path(config).read_text())
        for line in sys.stdin:
            pipe.write(f'{{"heard": "{line.strip()}"}}\n')
            if line.strip() == "stop":
                sys.exit(7)


if __name__ == "__main__":
    main()
