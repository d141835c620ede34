#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compiles every kernel for each imitated device and writes the table. Needs Mesa's drivers and its drm shims (Debian:
# mesa-vulkan-drivers and mesa-drm-shim, 26.1).
#   tests/static/run.sh <build folder> <table.md> [<lines.jsonl>]
set -euo pipefail
[ $# -ge 2 ] || { sed -n '3,5p' "$0" >&2 && exit 2; }
programs=$1/tests/static table=$2
lines=${3:-$(mktemp)}
icd=/usr/share/vulkan/icd.d
libraries=/usr/lib/$(uname -m)-linux-gnu
: >"$lines"

# report <label> <ICD> <shim, or -> [VARIABLE=value...]: a device that does not come up is a failure.
report() {
    local label=$1 driver=$icd/$2 shim=$3 log
    shift 3
    log=$(mktemp)
    [ "$shim" = - ] || set -- "$@" LD_PRELOAD="$libraries/lib${shim}_noop_drm_shim.so"
    if ! env VK_DRIVER_FILES="$driver" "$@" "$programs/static_report" 2>"$log" |
        sed "s/^{/{\"label\":\"$label\",/" >>"$lines"; then
        cat "$log" >&2
        echo "static report: $label failed" >&2
        exit 1
    fi
    rm -f "$log"
    echo "-- $label"
}

report 'llvmpipe' lvp_icd.json -
for chip in navi21 navi31 strix1 gfx1201 vega20; do
    report "AMD $chip" radeon_icd.json amdgpu AMDGPU_GPU_ID=$chip
done
# Chipsets as in nouveau: GV100, TU102, GA102.
for chip in 'Volta 140' 'Turing 162' 'Ampere 172'; do
    report "NVIDIA ${chip% *}" nouveau_icd.json nouveau NOUVEAU_CHIPSET="${chip#* }" NVK_I_WANT_A_BROKEN_VULKAN_DRIVER=1
done
for chip in 660 750; do
    report "Adreno $chip" freedreno_icd.json freedreno FD_GPU_ID=$chip
done
report 'Apple M1' asahi_icd.json asahi

"$programs/static_table" <"$lines" >"$table.new"
mv "$table.new" "$table"
