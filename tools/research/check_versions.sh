#!/usr/bin/env bash
# Run the tests under the lowest supported versions, and the engine's tests under onedl-mmengine (the same import name).
#
#     tools/research/check_versions.sh FOLDER        # makes two environments there; takes several GB
#
# Prints the versions and the last line of each run of the tests; exits with 1 if one fails.
set -euo pipefail
folder=${1:?usage: check_versions.sh FOLDER}
here=$(cd "$(dirname "$0")/../.." && pwd)
cd "$here"
failed=0

check() {  # name, tests, arguments of pip
    local name=$1 tests=$2
    shift 2
    [ -d "$folder/$name" ] || python3 -m venv "$folder/$name"
    "$folder/$name/bin/pip" install --quiet "$@"
    "$folder/$name/bin/python" -c 'import cv2, mmengine, numpy, torch; print("'"$name"':", "torch", torch.__version__,
"numpy", numpy.__version__, "OpenCV", cv2.__version__, "MMEngine", mmengine.__version__)'
    # shellcheck disable=SC2086
    "$folder/$name/bin/python" -m pytest -q -m 'not slow' $tests | tail -n 1 || failed=1
}

check lowest tests -c tools/research/lowest_versions.txt -e '.[tests]'
[ -d "$folder/onedl" ] || { python3 -m venv "$folder/onedl" && "$folder/onedl/bin/pip" install --quiet -e '.[tests]'; }
"$folder/onedl/bin/pip" uninstall --quiet --yes mmengine
check onedl 'tests/engine tests/test_config.py tests/test_registry.py tests/test_compat.py' --force-reinstall --no-deps onedl-mmengine
exit $failed
