"""`trimtab up`: start of the embedded cluster, memory and CPU when idle, push to converged."""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TRIMTAB = Path(sys.executable).with_name("trimtab")
IDLE_S = 15.0


def main() -> None:
    python = _python_floor_s()
    with tempfile.TemporaryDirectory() as folder:
        ready_s, rss, cpu = _idle(Path(folder) / "up")
        alone_s = _cluster_s(Path(folder) / "alone")
        demo = _demo(Path(folder) / "demo")
    bare = _python_rss()
    print(
        f"all of it ready after: {ready_s:6.2f} s    {ready_s / python:5.1f} times `python -c pass`"
    )
    print(
        f"cluster alone ready:   {alone_s:6.2f} s    {alone_s / python:5.1f} times `python -c pass`"
    )
    print(f"resident memory, idle: {rss / 1e6:6.0f} MB   {rss / bare:5.1f} times a bare Python")
    print(f"CPU, idle:             {cpu * 100:6.2f} %    of one core over {IDLE_S:g} s")
    for line in demo:
        print(line)


def _python_floor_s() -> float:
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        taken.append(time.perf_counter() - began)
    return sorted(taken)[2]


def _cluster_s(data: Path) -> float:
    """Seconds `trimtab cluster start` says it took, from the process to ready."""
    done = subprocess.run(
        [str(TRIMTAB), "cluster", "start", "--data", str(data)],
        check=True,
        capture_output=True,
        text=True,
    )
    subprocess.run([str(TRIMTAB), "cluster", "stop", "--data", str(data)], check=True)
    found = re.search(r"ready after ([\d.]+) s", done.stdout)
    assert found, done.stdout
    return float(found[1])


def _python_rss() -> float:
    code = "print(open('/proc/self/statm').read().split()[1])"
    pages = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(pages.stdout) * os.sysconf("SC_PAGE_SIZE")


def _idle(data: Path) -> tuple[float, float, float]:
    """(seconds until ready, bytes resident, cores used when idle) of `trimtab up`, children too."""
    began = time.perf_counter()
    command = [str(TRIMTAB), "up", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                break
        ready_s = time.perf_counter() - began
        time.sleep(5)
        family = [process.pid, *_children(process.pid)]
        before = sum(map(_cpu_s, family))
        time.sleep(IDLE_S)
        used = sum(map(_cpu_s, family)) - before
        rss = sum(map(_rss, family))
        process.terminate()
        process.wait(timeout=40)
    return ready_s, rss, used / IDLE_S


def _children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(entry.parent.name)
            found += [child, *_children(child)]
    return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _demo(data: Path) -> list[str]:
    """What the demo measured, from push and from delete, against one `git ls-remote`."""
    command = [str(TRIMTAB), "up", "--demo", "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    floor = _ls_remote_ms(data.parent / "floor.git")
    lines = []
    for what in ("from push to converged", "from delete to re-created"):
        found = re.search(rf"{what}: (\d+) ms", done.stdout)
        assert found, f"the demo did not print '{what}'"
        took = int(found[1])
        lines.append(f"{what}: {took:6d} ms   {took / floor:5.1f} times one `git ls-remote`")
    return lines


def _ls_remote_ms(repository: Path) -> float:
    subprocess.run(["git", "init", "--quiet", "--bare", str(repository)], check=True)
    began = time.perf_counter()
    subprocess.run(["git", "ls-remote", str(repository)], check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000
