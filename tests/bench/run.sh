#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the benchmarks of an existing build on one device and writes docs/benchmarks/<name>.md, and beside it the lines.
#   tests/bench/run.sh <build folder> <name> [--largest N] [options for every program, e.g. --device NVIDIA]
# --largest 1024: of the steps of large matrices, which take minutes on slow drivers, only those up to that order.
# Meant for a machine that does nothing else. libopenblas0 gives a yardstick for CPU drivers: by kernels of 256 bits, as
# wide as theirs, unless OPENBLAS_CORETYPE says otherwise.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '3,7p' "$0" >&2 && exit 2; }
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$1 output=$root/docs/benchmarks/$2
shift 2
arguments=$* largest=4096
if [ "${1:-}" = --largest ]; then
    largest=$2
    shift 2
fi
if grep -qw avx2 /proc/cpuinfo; then export OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-Haswell}; fi
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for program in bench_step bench_gemm bench_linalg bench_refresh; do
    echo "-- $program"
    "$build/tests/bench/$program" "$@" >>"$lines"
done
# Large matrices, too: seconds a step on a CPU.
large() {
    local repeats=(--repeats "$1")
    [[ " ${options[*]} " == *" --repeats"* ]] && repeats=()
    shift
    "$build/tests/bench/bench_step" --elements 0 "${repeats[@]}" "$@" "${options[@]}" >>"$lines"
}
options=("$@")
echo "-- bench_step, large matrices"
orders=(1024)
[ "$largest" -lt 2048 ] || orders+=(2048)
layers=(--layers 32x64x64 24x512x512 4x512x2048)
[ "$largest" -ge 2048 ] || layers=()
large 3 --orders "${orders[@]}" --matrix "fismo whitened" "fismo symmetric" "fismo between refreshes" "mousse between refreshes"
large 9 --orders "${orders[@]}" --matrix muon fismo "${layers[@]}"
[ "$largest" -lt 4096 ] || large 3 --orders 4096 --matrix fismo
{
    "$build/tests/bench/bench_table" <"$lines"
    printf '\nMachine: %s, %s processors' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)"
    printf '. Command: `tests/bench/run.sh <build> %s%s`.\n' "$(basename "$output")" "${arguments:+ $arguments}"
} >"$output.md"
cp "$lines" "$output.jsonl"
chmod 644 "$output.jsonl"
echo "-- wrote ${output#"$root/"}.md"
