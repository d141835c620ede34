#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A folder, and a .tar.gz of it, with the self-test, tests, benchmarks, samples and golden files, for a machine where nothing
# can be installed: it needs glibc 2.36 (when made on Debian 12) and a Vulkan driver. There: ./run. No CI leg makes it,
# since it is a build of everything once more.
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: tests/bundle/make.sh [options] [-- CMake arguments]

  --build-dir DIR   where to build (default: build/bundle)
  --output DIR      the folder to make (default: <build-dir>/heron-bundle)
  --newer ROOT      shader tools and Vulkan headers from the root folder of a newer Debian, so that kernels for
                    cooperative matrices are in; everything else is this system's, glibc above all. Default: the chroot
                    that .ci/run debian13 leaves, ~/.cache/heron/trixie, if it is there; none: this system's
  --jobs N          parallel compilers (default: number of processors)
  --no-build        pack what is built in DIR already
TEXT
}

fail() {
    echo "tests/bundle/make.sh: $*" >&2
    exit 1
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/build/bundle output='' newer='' jobs=$(nproc) compile=1
while [ $# -gt 0 ]; do
    case $1 in
    --build-dir | --output | --newer | --jobs) [ $# -ge 2 ] || fail "$1 needs a value" ;;&
    --build-dir) build=$2 && shift ;;
    --output) output=$2 && shift ;;
    --newer) newer=$2 && shift ;;
    --jobs) jobs=$2 && shift ;;
    --no-build) compile=0 ;;
    --help | -h) usage && exit 0 ;;
    --) shift && break ;;
    *) fail "unknown option $1 (see --help)" ;;
    esac
    shift
done
output=${output:-$build/heron-bundle}
mkdir -p "$build"
if [ -z "$newer" ]; then
    newer=${HERON_CI_CHROOT:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/heron/trixie}
    [ -x "$newer/usr/bin/glslangValidator" ] || {
        echo "tests/bundle/make.sh: no shader tools in $newer: without kernels that only newer ones than this system's make" >&2
        newer=none
    }
fi

# No library that a program does not use, nor GLFW, which neural_texture needs for its window alone.
arguments=(-DCMAKE_BUILD_TYPE=Release "-DCMAKE_EXE_LINKER_FLAGS=-static-libstdc++ -static-libgcc -Wl,--as-needed"
    -DCMAKE_DISABLE_FIND_PACKAGE_glfw3=ON -DZLIB_USE_STATIC_LIBS=ON)
if [ "$newer" != none ]; then
    libraries=$newer/usr/lib/$(uname -m)-linux-gnu
    loader=$(find "$libraries" -maxdepth 1 -name 'ld-linux-*.so.*' | head -n 1)
    [ -n "$loader" ] || fail "$newer is not the root folder of a Debian system"
    tools=$build/newer
    mkdir -p "$tools/include"
    # The newer programs run under their own system's libraries.
    for tool in glslangValidator spirv-val spirv-opt spirv-dis spirv-as; do
        [ -x "$newer/usr/bin/$tool" ] || fail "$newer has no $tool (packages glslang-tools and spirv-tools)"
        printf '#!/bin/sh\nexec "%s" --library-path "%s" "%s" "$@"\n' "$loader" "$libraries" "$newer/usr/bin/$tool" \
            >"$tools/$tool"
        chmod +x "$tools/$tool"
    done
    # Vulkan's headers alone: its system's others are of no use to this compiler.
    for headers in vulkan vk_video volk.h volk.c; do
        [ -e "$newer/usr/include/$headers" ] || fail "$newer has no $headers (packages libvulkan-dev and libvulkan-volk-dev)"
        rm -rf "${tools:?}/include/$headers"
        cp -r "$newer/usr/include/$headers" "$tools/include/"
    done
    arguments+=("-DHERON_GLSLANG=$tools/glslangValidator" "-DHERON_SPIRV_VAL=$tools/spirv-val"
        "-DHERON_SPIRV_OPT=$tools/spirv-opt" "-DHERON_SPIRV_DIS=$tools/spirv-dis" "-DHERON_SPIRV_AS=$tools/spirv-as"
        "-DHERON_VULKAN_INCLUDE_DIR=$tools/include"
        "-DHERON_VOLK_INCLUDE_DIR=$tools/include" "-DHERON_VOLK_SOURCE=$tools/include/volk.c")
fi
if command -v ccache >/dev/null; then
    arguments+=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cmake -S "$root" -B "$build" -G Ninja "${arguments[@]}" "$@" | grep -E '^-- Heron:'
[ $compile = 0 ] || cmake --build "$build" --parallel "$jobs" >"$build/build.log" 2>&1 || { tail -n 60 "$build/build.log" && exit 1; }

rm -rf "$output"
mkdir -p "$output"/{bench,lib,samples,tests}
cp "$build/samples/device_report/device_report" "$output/"
for sample in frame_loop neural_texture; do cp "$build/samples/$sample/$sample" "$output/samples/"; done
# bench_table reads lines; it does not write any.
find "$build/tests/bench" -maxdepth 1 \( -name 'bench_*' -o -name tune_gemm \) ! -name bench_table -type f -executable \
    -exec cp {} "$output/bench/" \;
# Of the tests all but those that read the project's files, or run its programs where they were built.
find "$build/tests" -mindepth 2 -maxdepth 2 -type f -name '*_test' -executable \
    ! -name c_values_test ! -name frame_loop_test ! -name readme_test ! -name samples_test ! -name neural_texture_test \
    ! -name compare_optimizers_test -exec cp {} "$output/tests/" \;
programs=("$output/device_report" "$output"/{tests,bench,samples}/*)
strip "${programs[@]}"
cp -r "${HERON_GOLDEN_DIR:-$root/tests/golden/data}" "$output/golden"
# For machines with a driver and no loader; ./run uses it only there.
loader_library=$(ldconfig -p | sed -n 's/.*libvulkan\.so\.1 (.*x86-64.*) => //p' | head -n 1)
[ -z "$loader_library" ] || cp -L "$loader_library" "$output/lib/"
cp "$root/tests/bundle/run" "$root/tests/bench/torch_peer.py" "$output/" # the peer needs torch and is run by hand
cp "$root/LICENSE" "$output/"
git -C "$root" describe --always --dirty >"$output/commit" 2>/dev/null || echo unknown >"$output/commit"

# What another machine must have: nothing but glibc.
for program in "${programs[@]}"; do
    needed=$(readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc|libm|ld-linux.*)\.so' || true)
    [ -z "$needed" ] || fail "$(basename "$program") needs $needed"
done
version=$(cat "${programs[@]}" | grep -aoE 'GLIBC_2\.[0-9]+' | sort -uV | tail -n 1)
tar -C "$(dirname "$output")" -czf "$output.tar.gz" "$(basename "$output")"
# It works, and from another place.
elsewhere=$(mktemp -d)
trap 'rm -rf "$elsewhere"' EXIT
tar -C "$elsewhere" -xzf "$output.tar.gz"
"$elsewhere/$(basename "$output")/run" report >"$build/report.log" 2>&1 ||
    { cat "$build/report.log" "$elsewhere"/*/results-*/device_report.* && fail "its self-test does not pass here"; }
echo "-- $output.tar.gz: $(du -h "$output.tar.gz" | cut -f1), $(find "$output/tests" -type f | wc -l) test programs, needs ${version/_/ }"
