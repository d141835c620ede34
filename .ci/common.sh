# SPDX-License-Identifier: MIT
# Sourced by every leg: where things are, and how to get a missing tool.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
builds=${HERON_CI_BUILD_DIR:-$root/build/ci}
jobs=$(nproc)
export CI=${CI:-true} # tests that would be skipped for what a machine lacks fail
cd "$root"

# need <program> <package>...: installs the packages when the program is missing.
need() {
    command -v "$1" >/dev/null && return
    echo "-- installing ${*:2}"
    local log=$builds/apt.log
    mkdir -p "$builds"
    { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 install \
        --no-install-recommends "${@:2}"; } >"$log" 2>&1 || { tail -n 40 "$log" && return 1; }
}

# Most of a run on a new machine is compiling; the next one there does without.
need ccache ccache
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1 # other clones share the cache

# lavapipe_only: programs see Mesa's CPU driver alone, where what is looked for is on the host's side.
lavapipe_only() {
    VK_DRIVER_FILES=$(find /usr/share/vulkan/icd.d -name 'lvp_icd*64*.json' -o -name 'lvp_icd.json' | head -n 1)
    export VK_DRIVER_FILES
}

# shader_targets: of what `ninja -t targets all` lists, the targets that make shaders.
shader_targets() { grep -oE '^[a-z_0-9]+_shaders_[0-9a-f]{8}' | sort -u; }

# cpp_files: the project's own C++ files.
cpp_files() { git ls-files '*.cpp' '*.hpp'; }
