"""The oracle: the real kustomize, inside kubectl."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trimtab.lang.yaml import load_all

Oracle = Callable[[Path], "list[Any] | None"]


@pytest.fixture
def kubectl() -> Oracle:
    """Builds a directory: objects in order, None when kubectl refuses."""
    program = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which(
        "kubectl"
    )
    if program is None:
        pytest.skip("kubectl is not installed")

    def run(directory: Path) -> list[Any] | None:
        done = subprocess.run(
            [program, "kustomize", str(directory)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return None
        return [document.value for document in load_all(done.stdout)]

    return run
