#!/bin/sh
# Makes the virtual environment $2 with python $1 and installs the locked requirements and
# this checkout into it. Called by make; safe to run again.
set -eu
python=${1:-}
venv=$2
if [ -z "$python" ]; then
  echo "error: no Python 3.11 or newer found" >&2
  echo "  try: install one, or name it: make PYTHON=/path/to/python3" >&2
  exit 1
fi
start=$(date +%s)
echo "Preparing $venv with $("$python" --version) (once)"
if command -v uv >/dev/null 2>&1; then
  uv venv --quiet --allow-existing --python "$python" "$venv"
  uv pip install --quiet --python "$venv/bin/python" --require-hashes -r requirements/dev.txt
  uv pip install --quiet --python "$venv/bin/python" --no-deps --no-build-isolation -e .
else
  if ! "$python" -m venv "$venv"; then
    echo "error: $python cannot make a virtual environment" >&2
    echo "  try: on Debian and Ubuntu, apt-get install python3-venv" >&2
    exit 1
  fi
  pip="$venv/bin/python -m pip --disable-pip-version-check --quiet"
  $pip install --require-hashes -r requirements/dev.txt
  $pip install --no-deps --no-build-isolation -e .
fi
echo "Ready after $(($(date +%s) - start)) s"
