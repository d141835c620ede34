#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds a sample and runs it, from a bare clone; installs what is missing (Debian, Ubuntu).
set -euo pipefail

usage() {
    cat <<'TEXT'
Usage: samples/run.sh [options] [the sample's own options]

  Installs what is missing (Debian packages, each named with its reason; root is asked for only then), builds, and
  trains a network on Fashion-MNIST on the best Vulkan device of this machine: with Muon, then with AdamW alone.

  --sample NAME     fashion_mnist (default), compare_optimizers, neural_texture, frame_loop, evolution, gauss_newton,
                    natural_gradient, device_report, adopted_device, first_step; in C: c_adopted_device, c_first_step
  --build-dir DIR   where to build (default: build/samples in the repository)
  --jobs N          parallel compilers (default: number of processors)
  --build-only      stop after the build
  --no-install      never install: say what is missing and stop
  --help            this text; builds nothing. With --sample NAME: of that sample
TEXT
}

# "name=rate" of every optimizer, out of the table that the samples are built from.
optimizer_rates() {
    tr '\n' ' ' <"$root/samples/support/optimizers.cpp" |
        grep -oE '\{"[a-z0-9_-]+",( *"[^"]*")+, *[0-9.e-]+f,' |
        sed -E 's/\{"([^"]*)",.*, *([0-9.e-]+)f,/\1 \2/' |
        awk '{ printf "%s%s=%g", (NR > 1 ? ", " : ""), $1, $2 } END { print "" }' | fold -s -w 110 | sed 's/^/  /'
}

# The options of fashion_mnist, for those who have not built it yet. A test compares them with the program's.
fashion_mnist_usage() {
    cat <<'TEXT'

Options of fashion_mnist:
  --list-devices        list the Vulkan devices and end
  --device SELECT       index, UUID or part of the name (default: the first usable, GPUs first)
  --optimizer,--optimizers NAMES
                        one run each, separated by commas (default: muon,adamw)
  --lr NAME=VALUE,...   learning rates (all optimizers with their default: below)
  --seed N              of the first weights and of the order of the images (default: 1)
  --filters COUNTS      filters of convolutions (3 x 3, stride 2) before the hidden layers (default: none)
  --hidden WIDTHS       widths of the hidden layers (default: 256,128)
  --batch N             images a step (default: 512)
  --epochs N            passes over the training images (default: 4)
  --stop-after N        end after that many epochs, to be resumed later
  --resume FILE         checkpoint to go on from
  --data DIR            data set in IDX files (default: Debian's dataset-fashion-mnist)
  --out DIR             output folder (default: out): curves.svg, curves.csv, predictions.png, checkpoints
  --describe            print the stages, kernels and costs of each plan
TEXT
}

say() { printf '%s\n' "-- $*"; }
fail() {
    printf '%s\n' "samples/run.sh: $*" >&2
    exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sample=fashion_mnist build=$root/build/samples jobs=$(nproc 2>/dev/null || echo 2) build_only=0 install=1 help=0 own_data=0
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --sample | --build-dir | --jobs) [ $# -ge 2 ] || fail "$1 needs a value" ;;&
    --sample) sample=$2 && shift ;;
    --build-dir) build=$2 && shift ;;
    --jobs) jobs=$2 && shift ;;
    --build-only) build_only=1 ;;
    --no-install) install=0 ;;
    --help | -h) help=1 ;;
    *)
        case $1 in --data | --data=* | --list-devices | --tasks=text) own_data=1 ;; esac
        [ "$1 ${2:-}" != "--tasks text" ] || own_data=1
        arguments+=("$1")
        ;;
    esac
    shift
done
case $sample in
fashion_mnist | compare_optimizers | evolution) ;;
neural_texture | frame_loop | gauss_newton | natural_gradient | device_report | adopted_device | first_step) own_data=1 ;;
c_adopted_device | c_first_step) own_data=1 ;;
*) fail "there is no sample '$sample' (--help lists them)" ;;
esac
case $jobs in '' | *[!0-9]* | 0) fail "--jobs takes a positive number, not '$jobs'" ;; esac

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        return 1
    fi
}

# Says that root is needed, or stops with what root has to do. Not in as_root, whose output goes to a log.
announce_root() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || fail "root is needed, and there is no sudo. As root, run:  apt-get install $*"
    say "root is needed to install that: sudo may ask for your password"
}

# Runs a command with its output in a log that is shown when it fails.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() {
    local what=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 80 "$log" >&2
        fail "$what failed (its last lines are above)"
    fi
}

has_driver() {
    local file given=${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}
    [ -z "$given" ] || return 0
    for file in {/usr/local/share,/usr/share,/etc,/usr/local/etc,"${XDG_DATA_HOME:-${HOME:-/root}/.local/share}"}/vulkan/icd.d/*.json; do
        [ ! -e "$file" ] || return 0
    done
    return 1
}

# Fills `missing` and `reasons`.
find_missing() {
    local entry package
    missing=() reasons=()
    local wanted=(
        "cmake:configures the build"
        "ninja-build:runs the build"
        "libvulkan-dev:Vulkan headers and loader"
        "libvulkan-volk-dev:loads Vulkan functions"
        "glslang-tools:compiles shaders"
        "spirv-tools:validates and optimizes shaders"
        "nlohmann-json3-dev:reads the headers of state files"
        "libcli11-dev:command lines of the samples"
        "libfmt-dev:text of the samples"
        "libstb-dev:PNG files of the samples"
        "zlib1g-dev:reads gzipped data sets"
    )
    [ -n "${CXX:-}" ] || command -v c++ >/dev/null || wanted=("g++:compiles C++" "${wanted[@]}")
    has_driver || wanted+=("mesa-vulkan-drivers:Vulkan drivers, one for the CPU among them")
    for entry in "${wanted[@]}"; do
        package=${entry%%:*}
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed' && continue
        missing+=("$package")
        reasons+=("$package (${entry#*:})")
    done
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qy -o Dpkg::Use-Pty=0 install --no-install-recommends "$@"
}

apt_updated=0
apt_update() {
    [ $apt_updated = 1 ] && return
    quietly "apt-get update" as_root apt-get -q update
    apt_updated=1
}

install_packages() {
    find_missing
    [ ${#missing[@]} -gt 0 ] || return 0
    say "missing:"
    printf '     %s\n' "${reasons[@]}"
    [ $install = 1 ] || fail "these are needed; as root, run:  apt-get install ${missing[*]}"
    announce_root "${missing[@]}"
    apt_update
    quietly "apt-get install" apt_install "${missing[@]}"
    say "installed"
}

get_data() {
    [ $own_data = 0 ] && [ ! -e /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz ] || return 0
    if [ $debian = 1 ] && [ $install = 1 ] && { [ "$(id -u)" = 0 ] || command -v sudo >/dev/null; }; then
        say "missing: dataset-fashion-mnist (60,000 training and 10,000 test images, 30 MB)"
        announce_root dataset-fashion-mnist
        apt_update
        if (apt_install dataset-fashion-mnist) >"$log" 2>&1; then
            say "installed"
            return 0
        fi
        tail -n 5 "$log" >&2
    fi
    cat >&2 <<'TEXT'
samples/run.sh: Fashion-MNIST is not there (on Debian: apt-get install dataset-fashion-mnist). To get it by hand, take
    train-images-idx3-ubyte.gz  train-labels-idx1-ubyte.gz  t10k-images-idx3-ubyte.gz  t10k-labels-idx1-ubyte.gz
from https://github.com/zalandoresearch/fashion-mnist (folder data/fashion) into a folder of yours and give it:
    samples/run.sh --data FOLDER
Files of MNIST, or of your own in the same format, will do as well.
TEXT
    exit 2
}

check_tools() {
    local lacking=()
    command -v cmake >/dev/null || lacking+=("cmake 3.22 or newer")
    [ -n "${CXX:-}" ] || command -v c++ >/dev/null || lacking+=("a C++20 compiler")
    command -v ninja >/dev/null || command -v make >/dev/null || lacking+=("ninja or make")
    command -v glslangValidator >/dev/null || command -v glslang >/dev/null || lacking+=("glslang")
    command -v spirv-val >/dev/null || lacking+=("SPIRV-Tools")
    if [ ${#lacking[@]} -gt 0 ]; then
        printf '     %s\n' "${lacking[@]}" >&2
        fail "this is no Debian system, and the programs above are missing; also needed are Vulkan headers and loader,
    volk, nlohmann-json, CLI11, fmt, stb and zlib with their headers, and a Vulkan 1.3 driver"
    fi
}

build_sample() {
    local generator=() launcher=()
    if [ ! -e "$build/CMakeCache.txt" ] && command -v ninja >/dev/null; then generator=(-G Ninja); fi
    if command -v ccache >/dev/null; then launcher=(-DCMAKE_C_COMPILER_LAUNCHER=ccache -DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
    quietly "configuring" cmake -S "$root" -B "$build" "${generator[@]}" "${launcher[@]}" -DCMAKE_BUILD_TYPE=Release \
        -DHERON_BUILD_SAMPLES=ON -DHERON_BUILD_TESTS=OFF -DHERON_BUILD_BENCH=OFF
    if [ -t 1 ]; then
        cmake --build "$build" --parallel "$jobs" --target "$sample" || fail "the build failed"
    else
        quietly "the build" cmake --build "$build" --parallel "$jobs" --target "$sample"
    fi
}

debian=0
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then debian=1; fi
program=$build/samples/$sample/$sample

if [ $help = 1 ]; then
    usage
    rm -f "$log"
    case $sample in
    fashion_mnist)
        fashion_mnist_usage
        printf '\nOptimizers:\n'
        optimizer_rates
        printf '\nDevices found:\n'
        [ ! -x "$program" ] || exec "$program" --list-devices
        printf '  (known once the sample is built: samples/run.sh --list-devices builds it and lists them)\n'
        ;;
    first_step | gauss_newton | natural_gradient | c_first_step | c_adopted_device)
        printf '\n%s has no options.\n' "$sample"
        ;;
    *)
        printf '\nOptions of %s:\n' "$sample"
        [ ! -x "$program" ] || exec "$program" --help
        printf '  (known once it is built: samples/run.sh --sample %s --build-only)\n' "$sample"
        ;;
    esac
    exit 0
fi

if [ $debian = 1 ]; then
    install_packages
else
    check_tools
fi
get_data
say "building $sample in $build ($jobs jobs)"
build_sample
[ $build_only = 0 ] || exit 0
say "running $sample${arguments[*]:+ ${arguments[*]}}"
printf '\n'
rm -f "$log"
exec "$program" "${arguments[@]}"
