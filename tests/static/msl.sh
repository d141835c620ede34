#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Translates every kernel to Metal's shading language, as MoltenVK does, which runs the same translator. Needs spirv-cross.
#   tests/static/msl.sh <build folder>
set -euo pipefail
[ $# -eq 1 ] || { sed -n '3,4p' "$0" >&2 && exit 2; }

# SPIRV-Cross knows no cooperative matrices, nor does MoltenVK offer them.
untranslatable=(gemm_coopmat gemm_coopmat_large gemm_coopmat_bf16 gemm_coopmat_bf16_large gemm_coopmat2)

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
translated=0 failed=0
while read -r kernel; do
    spirv=$1/generated/spv/$kernel.spv metal=$folder/$kernel.metal
    [ -s "$spirv" ] || { echo "$spirv is missing: build the library first" >&2 && exit 1; }
    expected=yes
    for name in "${untranslatable[@]}"; do [ "$name" != "$kernel" ] || expected=no; done
    if spirv-cross --msl --msl-version 30000 --msl-argument-buffers "$spirv" --output "$metal" 2>"$folder/log" &&
        grep -q '^kernel void ' "$metal"; then
        result=yes translated=$((translated + 1))
    else
        result=no
    fi
    if [ $result != $expected ]; then
        failed=1
        if [ $result = no ]; then
            echo "$kernel does not translate to MSL: $(head -n 2 "$folder/log")" >&2
        else
            echo "$kernel translates to MSL now: take it from the list in tests/static/msl.sh" >&2
        fi
    fi
done < <(sed -n 's/^    "\(.*\)",$/\1/p' "$1/tests/static/kernel_names.hpp")
[ $translated -gt 0 ] || { echo "no kernels in $1/tests/static/kernel_names.hpp" >&2 && exit 1; }
echo "-- $translated kernels translate to MSL 3; not: ${untranslatable[*]}"
exit $failed
