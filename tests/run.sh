#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds Heron and runs its tests on every Vulkan device of this machine; installs what is missing (Debian, Ubuntu).
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: tests/run.sh [options] [-- CMake arguments]

  Installs what is missing (Debian packages; root is asked for only then), builds, and runs the tests on every Vulkan
  device found: the real GPUs, Mesa's lavapipe and SwiftShader.

  --label REGEX     only tests with such a label: unit, device, golden, slow, sample, engine, c_api, fuzz,
                    package, threads, large (matrices of thousands of rows)
  --exclude REGEX   no tests with such a label
  --target NAME     build only this: a test, or thread_tests, which are all with the label threads
  --build-dir DIR   where to build (default: build/tests, or build/tests-debug, ...)
  --jobs N          parallel compilers and tests (default: number of processors)
  --debug           Debug instead of Release
  --sanitize LIST   sanitizers, e.g. address,undefined, or thread in a build of its own; implies --debug
  --werror          warnings are errors
  --no-install      never install, never download: fail or do without
  --install-only    stop after the installation
  --cpu-only        leave real GPUs alone: lavapipe and SwiftShader only
  --help

  Environment: HERON_GOLDEN_DIR   golden vectors (default: tests/golden/data)
               CC, CXX            compilers
               VK_DRIVER_FILES    exactly these Vulkan drivers (a list of JSON files) instead of all that are found
               XDG_CACHE_HOME     SwiftShader is kept in its folder heron/ (default: ~/.cache)
TEXT
}

say() { printf '%s\n' "-- $*"; }
fail() {
    printf '%s\n' "tests/run.sh: $*" >&2
    exit 1
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
label='' exclude='' target=all build='' jobs=$(nproc 2>/dev/null || echo 2) type=Release sanitize='' werror=OFF
install=1 install_only=0 cpu_only=0
while [ $# -gt 0 ]; do
    case $1 in
    --label | --exclude | --target | --build-dir | --jobs | --sanitize) [ $# -ge 2 ] || fail "$1 needs a value" ;;&
    --label) label=$2 && shift ;;
    --exclude) exclude=$2 && shift ;;
    --target) target=$2 && shift ;;
    --build-dir) build=$2 && shift ;;
    --jobs) jobs=$2 && shift ;;
    --sanitize) sanitize=${2//,/;} type=Debug && shift ;;
    --debug) type=Debug ;;
    --werror) werror=ON ;;
    --no-install) install=0 ;;
    --install-only) install_only=1 ;;
    --cpu-only) cpu_only=1 ;;
    --help | -h) usage && exit 0 ;;
    --) shift && break ;;
    *) fail "unknown option $1 (see --help)" ;;
    esac
    shift
done
case $jobs in '' | *[!0-9]* | 0) fail "--jobs takes a positive number, not '$jobs'" ;; esac
if [ -z "$build" ]; then
    build=$root/build/tests
    [ $type = Release ] || build+=-debug
    [ -z "$sanitize" ] || build+=-sanitize
fi
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/heron

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_root <command to run by hand>: asks for the password here, where the question can be seen.
need_root() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || fail "root is needed and there is no sudo; run this as root, then this script again: $*"
    sudo -v || fail "root is needed for: $*"
}

# Runs a command with its output in a log that is shown when it fails.
quietly() {
    local what=$1 log
    shift
    log=$(mktemp)
    if ! "$@" >"$log" 2>&1; then
        tail -n 80 "$log" >&2
        rm -f "$log"
        fail "$what failed (its last lines are above)"
    fi
    rm -f "$log"
}

apt_updated=0
apt_update() {
    [ $apt_updated = 1 ] && return
    quietly "apt-get update" as_root apt-get -q update
    apt_updated=1
}

install_packages() {
    local package missing=()
    local wanted=(cmake ninja-build pkg-config libvulkan-dev libvulkan-volk-dev glslang-tools spirv-tools
        nlohmann-json3-dev libgtest-dev libeigen3-dev libcli11-dev libstb-dev libfmt-dev zlib1g-dev
        mesa-vulkan-drivers vulkan-validationlayers python3)
    # The window of the sample neural_texture, and a display without a screen that its test looks at.
    wanted+=(libglfw3-dev xvfb)
    # An allocator that engines have, for the sample frame_loop: Debian 13 has a package of it, Debian 12 none.
    if [ $install = 1 ] && apt-cache show libvulkan-memory-allocator-dev >/dev/null 2>&1; then
        wanted+=(libvulkan-memory-allocator-dev)
    fi
    [ -n "${CXX:-}" ] || command -v c++ >/dev/null || wanted=(g++ "${wanted[@]}")
    for package in "${wanted[@]}"; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ $install = 1 ] || fail "missing: ${missing[*]} (without --no-install they would be installed)"
    say "installing: ${missing[*]}"
    need_root "apt-get install ${missing[*]}"
    apt_update
    quietly "apt-get install" as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 install \
        --no-install-recommends "${missing[@]}"
}

# SwiftShader stands for the smallest device: subgroups of 4, no 16-bit types. Debian ships it inside Chromium.
get_swiftshader() {
    # One per release: a newer release's library does not load on an older one.
    local release folder library work
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-unknown}")
    folder=$cache/swiftshader-$release library=$folder/libvk_swiftshader.so
    if [ ! -s "$library" ]; then
        if [ $install = 0 ]; then
            say "SwiftShader is not in $cache: doing without"
            return 0
        fi
        say "fetching SwiftShader (from Debian's chromium-common) into $folder"
        mkdir -p "$folder"
        work=$(mktemp -d)
        chmod 755 "$work"
        if ! (cd "$work" && apt-get -q download chromium-common) >"$work/log" 2>&1; then
            need_root "apt-get update"
            apt_update
            (cd "$work" && quietly "downloading chromium-common" apt-get -q download chromium-common)
        fi
        quietly "unpacking chromium-common" dpkg -x "$work"/chromium-common_*.deb "$work"
        cp "$work/usr/lib/chromium/libvk_swiftshader.so" "$library.new" || fail "chromium-common has no SwiftShader"
        mv "$library.new" "$library"
        rm -rf "$work"
    fi
    if ldd "$library" 2>&1 | grep -q 'not found'; then
        ldd "$library" 2>&1 | grep 'not found' >&2
        fail "SwiftShader in $folder does not load here; delete that folder, or install what it misses"
    fi
    swiftshader_icd=$folder/icd.json
    printf '{"file_format_version": "1.0.0", "ICD": {"library_path": "%s", "api_version": "1.3.0"}}\n' "$library" \
        >"$swiftshader_icd"
}

# The loader looks at nothing else once a list is given, so the list has every driver of the machine; unless the caller
# has given one.
list_drivers() {
    local folder file drivers=() given=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}
    if [ -n "$given" ]; then
        IFS=: read -ra drivers <<<"$given"
    else
        # Without a GPU, its drivers would only be loaded and unloaded again, a thousand times in some tests.
        if ! compgen -G '/dev/dri/renderD*' >/dev/null && ! compgen -G '/dev/nvidia[0-9]*' >/dev/null &&
            [ ! -e /dev/dxg ]; then
            cpu_only=1
        fi
        for folder in /usr/local/share /usr/share /etc /usr/local/etc "${XDG_DATA_HOME:-${HOME:-/root}/.local/share}"; do
            for file in "$folder"/vulkan/icd.d/*.json; do
                case $file in *'*'* | *.i686.json | *.i386.json | *_i686.json) continue ;; esac
                [ $cpu_only = 0 ] || [[ $file == *lvp_icd* ]] || continue
                drivers+=("$file")
            done
        done
    fi
    if [ -z "$given" ] && [ -n "${swiftshader_icd:-}" ]; then
        drivers+=("$swiftshader_icd")
    fi
    [ ${#drivers[@]} -gt 0 ] || fail "no Vulkan driver found (Debian: apt install mesa-vulkan-drivers)"
    VK_DRIVER_FILES=$(IFS=: && echo "${drivers[*]}")
    export VK_DRIVER_FILES VK_ICD_FILENAMES=$VK_DRIVER_FILES
    say "Vulkan drivers: ${drivers[*]##*/}"
}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    install_packages
    get_swiftshader
else
    say "not a Debian system: nothing is installed here; CMake will name what is missing"
fi
[ $install_only = 0 ] || exit 0
list_drivers
export HERON_GOLDEN_DIR=${HERON_GOLDEN_DIR:-$root/tests/golden/data}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$root/tests/support/lsan.supp:print_suppressions=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$root/tests/support/tsan.supp:second_deadlock_stack=1}

launcher=()
if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
say "configuring in $build ($type${sanitize:+, sanitizers $sanitize})"
configure_log=$(mktemp)
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=$type -DHERON_WERROR=$werror "-DHERON_SANITIZE=$sanitize" \
    "${launcher[@]}" "$@" >"$configure_log" 2>&1 || {
    cat "$configure_log" >&2
    fail "CMake could not configure (reason above)"
}
grep -E '^-- (Heron:|The CXX compiler)' "$configure_log" || true
rm -f "$configure_log"

say "building ($jobs jobs)"
if [ -t 1 ]; then
    cmake --build "$build" --parallel "$jobs" --target "$target" || fail "the build failed"
else
    quietly "the build" cmake --build "$build" --parallel "$jobs" --target "$target"
fi

# A driver that the loader cannot use vanishes without a word, and its tests with it: show who is there.
report=$build/samples/device_report/device_report
if [ -x "$report" ]; then
    devices=$("$report" --no-test | grep -E '^ *\[[0-9]+\]|not usable' || true)
    printf '%s\n' "-- Vulkan devices:" "$devices"
    if [ -n "${swiftshader_icd:-}" ] && [[ $VK_DRIVER_FILES == *"$swiftshader_icd"* && $devices != *SwiftShader* ]]; then
        fail "SwiftShader is installed, but the Vulkan loader does not offer it (VK_LOADER_DEBUG=all says why)"
    fi
fi

say "testing${label:+ (label $label)}"
arguments=(--test-dir "$build" --output-on-failure --no-tests=error --parallel "$jobs")
[ -z "$label" ] || arguments+=(--label-regex "$label")
[ -z "$exclude" ] || arguments+=(--label-exclude "$exclude")
if ctest "${arguments[@]}" | grep -vE '^( +Start +[0-9]+:|Internal ctest|Test project)'; then
    say "all tests passed"
else
    fail "tests failed (list above; log in $build/Testing/Temporary/LastTest.log)"
fi
