#!/bin/sh
# Writes the locked requirements anew from pyproject.toml: hashes, no index lines, every platform.
# Needs uv. Pass --upgrade to take newer versions.
set -eu
cd "$(dirname "$0")/.."
lock() {
  out=$1
  shift
  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file "$out" "$@"
}
lock requirements/run.txt pyproject.toml
lock requirements/dev.txt pyproject.toml --group dev
