"""The example files, made ready for this machine: repositories in Git, manifests that name them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Final

from trimtab.errors import TrimtabError

__all__ = ["Checkout", "examples_dir", "write_manifests"]

_UPSTREAM: Final = re.compile(r"https://github\.com/myorg/([\w-]+)(\.git)?")
_AUTHOR: Final = ("-c", "user.name=CI", "-c", "user.email=ci@example.com")


def examples_dir() -> Path:
    """The examples: carried inside the installed package, or at the root of a checkout."""
    packaged = Path(str(files("trimtab.cli.demo"))) / "examples"
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).resolve().parents[4] / "examples"
    if checkout.is_dir():
        return checkout
    raise TrimtabError(
        "the examples are not installed",
        where=str(packaged),
        hint="reinstall trimtab, or run from a checkout",
    )


def write_manifests(target: Path, repository_base: str) -> list[Path]:
    """Copies of examples/argocd and examples/flux whose repositories are below
    `repository_base` instead of the public host; returns the files in the order to apply them."""
    written = []
    for dialect in ("argocd", "flux"):
        folder = target / dialect
        folder.mkdir(parents=True, exist_ok=True)
        sources = sorted((examples_dir() / dialect).glob("*.yaml"))
        # Namespaces first, as anyone who applies a directory by hand would do.
        sources.sort(key=lambda path: path.name != "namespaces.yaml")
        for source in sources:
            base = repository_base.rstrip("/")
            text = _UPSTREAM.sub(rf"{base}/\1.git", source.read_text())
            file = folder / source.name
            file.write_text(text)
            written.append(file)
    return written


class Checkout:
    """A clone in which somebody (here: CI) commits and pushes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def publish(cls, source: Path, path: Path, remote: str) -> Checkout:
        """Make a repository of the files in `source` and push it to `remote`, branch main."""
        shutil.copytree(source, path)
        checkout = cls(path)
        checkout.git("init", "--quiet", "--initial-branch=main")
        checkout.git("remote", "add", "origin", remote)
        checkout.commit_and_push("Import the configuration")
        return checkout

    def commit_and_push(self, message: str) -> str:
        """Commit everything and push; returns the commit id."""
        self.git("add", "--all")
        self.git(*_AUTHOR, "commit", "--quiet", "--message", message)
        self.git("push", "--quiet", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD").strip()

    def set_image_tag(self, overlay: str, image: str, tag: str) -> None:
        """What `kustomize edit set image` does to the file: the tag changes, nothing else."""
        file = self.path / overlay / "kustomization.yaml"
        lines = file.read_text().splitlines(keepends=True)
        inside = False
        for number, line in enumerate(lines):
            if line.strip() == f"- name: {image}":
                inside = True
            elif inside and line.strip().startswith("newTag:"):
                lines[number] = f"{line[: line.index('newTag:')]}newTag: {tag}\n"
                file.write_text("".join(lines))
                return
            elif inside and not line.startswith("    "):
                break
        raise TrimtabError(f"image {image} is not in the file", where=str(file))

    def git(self, *args: str) -> str:
        """Output of one git command in the clone. Raises `TrimtabError` with git's own words."""
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise TrimtabError(f"git {args[0]} failed", where=str(self.path), why=done.stderr)
        return done.stdout


def _environment() -> dict[str, str]:
    """Nobody's own configuration (signing, hooks, editors) takes part in the story."""
    kept = {"PATH": os.environ.get("PATH", os.defpath)}
    null = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    return {**kept, **null, "LC_ALL": "C"}
