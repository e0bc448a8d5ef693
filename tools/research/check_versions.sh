#!/usr/bin/env bash
# Run the tests under the lowest supported versions, and the engine's tests under onedl-mmengine (the same import name).
#
#     PYTHON=python3.10 tools/research/check_versions.sh FOLDER [--json FILE]
#
# Makes two environments in FOLDER, which take several GB, and leaves the logs of the tests there. Prints the versions
# and the last line of each run of the tests; exits with 1 if one fails.
set -euo pipefail
folder=$(realpath "${1:?usage: check_versions.sh FOLDER [--json FILE]}")
json=
[ "${2:-}" != --json ] || json=$(realpath "${3:?--json needs a file}")
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here"
mkdir -p "$folder"
failed=0
figures=

environment() {  # name, arguments of pip
    local name=$1
    shift
    [ -d "$folder/$name" ] || "${PYTHON:-python3}" -m venv "$folder/$name"
    "$folder/$name/bin/python" -m pip install --quiet "$@"
}

check() {  # name, tests
    local name=$1 versions last
    versions=$("$folder/$name/bin/python" -c '
import cv2, importlib.metadata as m, json, mmengine, numpy, platform, torch
print(json.dumps(dict(python=platform.python_version(), torch=torch.__version__, numpy=numpy.__version__,
                      opencv=cv2.__version__, mmengine=mmengine.__version__)))')
    # shellcheck disable=SC2086
    "$folder/$name/bin/python" -m pytest -q -m 'not slow' -p no:cacheprovider $2 > "$folder/$name.log" 2>&1 || failed=1
    last=$(tail -n 1 "$folder/$name.log")
    printf '%s: %s\n    %s\n' "$name" "$versions" "$last"
    figures="$figures${figures:+,}\"$name\":{\"versions\":$versions,\"tests\":\"$last\"}"
}

environment lowest -c tools/research/lowest_versions.txt -e '.[tests]'
check lowest tests
environment onedl -e '.[tests]'
"$folder/onedl/bin/python" -m pip uninstall --quiet --yes mmengine
environment onedl --force-reinstall --no-deps onedl-mmengine
check onedl 'tests/engine tests/test_config.py tests/test_registry.py tests/test_compat.py'
[ -z "$json" ] || printf '{%s}\n' "$figures" > "$json"
exit $failed
