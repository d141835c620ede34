#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the tests of an existing build that record how accurate they are, and writes docs/accuracy.md or another table.
#   tests/accuracy/run.sh <build folder> [<table.md> [<test program>...]]
set -euo pipefail
[ $# -ge 1 ] || { sed -n '3,4p' "$0" >&2 && exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1 table=${2:-$root/docs/accuracy.md}
shift $(($# < 2 ? $# : 2))
programs=("$@")
[ ${#programs[@]} -gt 0 ] || programs=("$build"/tests/linalg/*_test "$build"/tests/optim/*_test)
export HERON_GOLDEN_DIR=${HERON_GOLDEN_DIR:-$root/tests/golden/data}
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
for program in "${programs[@]}"; do
    name=$(basename "$program")
    echo "-- $name"
    "$program" --gtest_output="json:$reports/$name.json" --gtest_brief=1 >"$reports/$name.log" 2>&1 ||
        { tail -n 40 "$reports/$name.log" && exit 1; }
done
"$build/tests/accuracy/accuracy_table" "$reports"/*.json >"$reports/table.md"
cp "$reports/table.md" "$table"
