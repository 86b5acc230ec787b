"""Check that a wheel carries every file of the package that is no Python, and none that is no part of it."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "ferbench"
SUFFIXES = {".py", ".typed", ".yaml", ".html", ".css", ".js", ".svg", ".md", ".j2", ".json"}
MODELS = {".tflite", ".keras", ".onnx"}


def main(wheel: str) -> int:
    """Compare the wheel with the source tree; print the difference and return 1 where there is one."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        path.relative_to(PACKAGE.parent).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for path in sorted(expected - packed):
        print(f"not in the wheel: {path}", file=sys.stderr)
    for path in sorted(packed - expected):
        print(f"in the wheel, but not in the package: {path}", file=sys.stderr)
    kinds = {path: Path(path).suffix or Path(path).name for path in expected}
    unknown = sorted(path for path, kind in kinds.items() if kind not in SUFFIXES | MODELS | {"LICENSE"})
    for path in unknown:
        print(f"a kind of file that has no place in the package: {path}", file=sys.stderr)
    print(f"{wheel}: {len(packed)} files")
    return int(packed != expected or bool(unknown))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
