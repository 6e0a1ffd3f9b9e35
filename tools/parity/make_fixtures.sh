#!/bin/sh
# Makes test/fixtures/t5, then makes it again and demands the same bytes. PYTHON names the interpreter of the virtual environment.
set -eu
here=$(dirname "$0")
python=${PYTHON:-python3}
"$python" "$here/t5_fixtures.py"
"$python" "$here/t5_fixtures.py" --check
