#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Translates every kernel of the library, and every shader of samples and tests that was built, to Metal's shading
# language, as MoltenVK does, which runs the same translator. Needs spirv-cross.
#   tests/static/msl.sh <build folder>
set -euo pipefail
[ $# -eq 1 ] || { sed -n '3,5p' "$0" >&2 && exit 2; }

# SPIRV-Cross knows no cooperative matrices, nor does MoltenVK offer them.
untranslatable=(gemm_coopmat gemm_coopmat_large gemm_coopmat_bf16 gemm_coopmat_bf16_large gemm_coopmat2)

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
translated=0 failed=0 kernels=0
while read -r kernel; do
    spirv=$1/generated/spv/$kernel.spv kernels=$((kernels + 1))
    [ -s "$spirv" ] || { echo "$spirv is missing: build the library first" >&2 && exit 1; }
done < <(sed -n 's/^    "\(.*\)",$/\1/p' "$1/tests/static/kernel_names.hpp")
[ $kernels -gt 0 ] || { echo "no kernels in $1/tests/static/kernel_names.hpp" >&2 && exit 1; }
for spirv in "$1"/generated/spv/*.spv; do
    kernel=$(basename "$spirv" .spv)
    metal=$folder/$kernel.metal expected=yes
    for name in "${untranslatable[@]}"; do [ "$name" != "$kernel" ] || expected=no; done
    if spirv-cross --msl --msl-version 30000 --msl-argument-buffers "$spirv" --output "$metal" 2>"$folder/log" &&
        grep -qE '^(kernel void|vertex|fragment) ' "$metal"; then
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
done
echo "-- $translated shaders translate to MSL 3, of them all of the library's $kernels but ${untranslatable[*]}"
exit $failed
