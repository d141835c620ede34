#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the tests of an existing build that record how accurate they are. Their reports stay in <build folder>/accuracy.
#   tests/accuracy/run.sh <build folder> [<test program>...]
# Devices: those of VK_DRIVER_FILES, else all that the loader finds and SwiftShader, where tests/run.sh has fetched it.
#
# docs/accuracy.md has Debian 12's and Debian 13's, of the builds that .ci/run gcc debian13 leaves:
#   tests/accuracy/run.sh build/ci/gcc && .ci/inside tests/accuracy/run.sh /heron/build
#   .ci/inside sh -c 'tests/accuracy/run.sh /heron/build /heron/build/tests/linalg/*_slow_test'
#   build/ci/gcc/tests/accuracy/accuracy_table docs/accuracy.md build/ci/{gcc,debian13}/accuracy/*.json
set -euo pipefail
[ $# -ge 1 ] || { sed -n '3,5p' "$0" >&2 && exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1 reports=$1/accuracy
shift
programs=("$@")
if [ ${#programs[@]} = 0 ]; then
    # The slow tests hold larger sizes to the same bounds; who wants them names them in another call.
    for program in "$build"/tests/linalg/*_test "$build/tests/optim/step_test"; do
        [[ $program == *_slow_test ]] || programs+=("$program")
    done
    rm -rf "$reports"
fi
mkdir -p "$reports"
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
swiftshader=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/heron/swiftshader-$release/icd.json
[ ! -e "$swiftshader" ] || export VK_ADD_DRIVER_FILES=$swiftshader
export HERON_GOLDEN_DIR=${HERON_GOLDEN_DIR:-$root/tests/golden/data}
for program in "${programs[@]}"; do
    name=$(basename "$program")
    echo "-- $name"
    "$program" --gtest_output="json:$reports/$name.json" --gtest_brief=1 >"$reports/$name.log" 2>&1 ||
        { tail -n 40 "$reports/$name.log" && exit 1; }
done
