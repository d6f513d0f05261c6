"""Rendering the example overlay: in process, against `kubectl kustomize` as a process."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from trimtab.render import RenderRequest, render
from trimtab.sources import LocalTree

ROOT = Path(__file__).resolve().parents[1] / "examples" / "config-repo"
OVERLAY = "apps/overlays/production"
KUBECTL = Path(sys.executable).with_name("kubectl")


def median_ms(run: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


def main() -> None:
    request = RenderRequest(path=OVERLAY)

    def cold() -> object:
        return render(request, LocalTree(ROOT))

    def process() -> object:
        command = [str(KUBECTL), "kustomize", str(ROOT / OVERLAY)]
        return subprocess.run(command, check=True, capture_output=True)

    first = cold()
    tree = LocalTree(ROOT)
    ours = median_ms(cold, 30)
    theirs = median_ms(process, 15)
    check = median_ms(lambda: first.reads.holds_in(tree), 200)
    print(f"kubectl kustomize, a process: {theirs:8.2f} ms")
    print(f"trimtab, cold, in process:    {ours:8.2f} ms   {theirs / ours:6.1f} times faster")
    print(f"trimtab, warm (read-set):     {check:8.3f} ms   {theirs / check:6.0f} times faster")
