#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Compares the static report that is kept with one made now. Prints what differs, and exits with 1, where it is Heron's
# doing: the head, which kernels there are, and every figure of a device whose driver has the version that it had. What
# another version of a driver makes of the same kernels is no fault: such devices are only named. (llvmpipe's choice of
# kernels is that of processors with AVX2.)
#   tests/static/compare.sh <kept.md> <made.md>
set -euo pipefail
[ $# -eq 2 ] || { sed -n '3,7p' "$0" >&2 && exit 2; }

# "## device", and its driver, which is the first line below.
drivers() {
    awk '/^## / { device = $0 } NF && !/^## / && device != "" { print device "\t" $0; device = "" }' "$1" | sort
}
# The report without the devices whose drivers differ, then all of its kernels.
comparable() {
    awk 'BEGIN { shown = 1 }
        FILENAME == ARGV[1] { common[$0]; next }
        /^## / { device = $0; shown = 0; next }
        NF && device != "" { shown = (device "\t" $0) in common; if (shown) print device; device = "" }
        shown' <(comm -12 <(drivers "$kept") <(drivers "$made")) "$1"
    grep -o '^| `[a-z_0-9]*`' "$1" | sort -u
}

kept=$1 made=$2
comm -13 <(drivers "$kept") <(drivers "$made") | sed 's/^## /-- not compared, another driver: /'
diff -u --label "$kept" --label "$made" <(comparable "$kept") <(comparable "$made")
