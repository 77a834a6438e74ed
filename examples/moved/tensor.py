"""Prints a picture as a request of the Open Inference Protocol."""

import json
import sys
from pathlib import Path

from examples.moved.pictures import read

rows = read(Path(sys.argv[1]).read_bytes())
tensor = {"name": "image", "datatype": "UINT8", "shape": list(rows.shape), "data": rows.ravel().tolist()}
print(json.dumps({"inputs": [tensor]}))
