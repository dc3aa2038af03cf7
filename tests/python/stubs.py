"""Generates Python code from the protos, at test time."""

import sys
from importlib import resources
from pathlib import Path

from grpc_tools import protoc


def generate(protos, folder):
    """Makes `quaymeter.v1` importable, from the protos below this folder."""
    files = sorted(str(path) for path in Path(protos).glob("quaymeter/v1/*.proto"))
    well_known = resources.files("grpc_tools") / "_proto"
    arguments = [f"-I{protos}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if not files or protoc.main(["protoc", *arguments, *files]) != 0:
        raise SystemExit(f"no stubs from the protos in {protos}")
    sys.path.insert(0, folder)
