"""Wrong usage exits 2, failures exit 1, and both speak in one shape (spec/experience.md 3)."""

import io

import pytest

from trimtab import __version__
from trimtab.cli import main
from trimtab.cli.report import print_error, table
from trimtab.errors import Location, TrimtabError


def test_an_error_says_what_where_why_and_what_to_try():
    out = io.StringIO()
    where = Location("apps/web/kustomization.yaml", 3, 5, via=("overlays/prod/kustomization.yaml",))
    print_error(TrimtabError("no such file", where=where, why="x", hint="add it"), out)
    assert out.getvalue() == (
        "error: no such file\n"
        "  where: apps/web/kustomization.yaml:3:5 (from overlays/prod/kustomization.yaml)\n"
        "  why: x\n"
        "  try: add it\n"
    )


def test_parts_that_are_not_known_are_left_out():
    out = io.StringIO()
    print_error(TrimtabError("no"), out)
    assert out.getvalue() == "error: no\n"


@pytest.mark.parametrize(
    "argv", [[], ["nope"], ["build"], ["build", ".", "--kind", "x"], ["cluster"]]
)
def test_wrong_usage_exits_2(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "  try: trimtab" in err


def test_help_exits_0_and_names_every_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for name in ("up", "cluster", "build", "get", "sync", "version"):
        assert f"\n    {name}" in out


@pytest.mark.parametrize("name", ["up", "cluster", "build", "get", "sync", "version"])
def test_each_command_has_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"usage: trimtab {name}" in capsys.readouterr().out


def test_version_prints_the_version(capsys):
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"trimtab {__version__}\n"


def test_a_failure_exits_1_without_a_traceback(capsys, tmp_path):
    assert main(["build", str(tmp_path / "nope")]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: no such directory\n  where: ")
    assert "Traceback" not in err


def test_no_cluster_named_says_how_to_name_one(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["get", "-A"]) == 1
    assert "try: export KUBECONFIG=$(trimtab cluster kubeconfig)" in capsys.readouterr().err


def test_tables_are_padded_and_have_no_trailing_blanks():
    assert table(("A", "B"), [("long", ""), ("x", "y")]) == "A      B\nlong\nx      y"
