# SPDX-License-Identifier: MIT
# Sourced by what works in a Debian 13 chroot, after common.sh: makes it, and defines inside().
#
# The chroot is kept (HERON_CI_CHROOT, default ~/.cache/heron/trixie) but not needed: it takes two minutes to make.
# In it, the project is /heron/source and the build folder /heron/build (build/ci/debian13 outside). Programs see its
# lavapipe alone: SwiftShader is the same everywhere, and had every test in the leg gcc.
# shellcheck shell=bash
need debootstrap debootstrap

[ "$(id -u)" = 0 ] || { echo "the Debian 13 leg needs root" >&2 && exit 1; }
# A mount namespace of its own: two runs may share the chroot, and nothing stays mounted, however a run ends.
if [ -z "${HERON_CI_NAMESPACE:-}" ]; then
    exec env HERON_CI_NAMESPACE=1 unshare --mount --propagation private "$0" "$@"
fi
cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/heron
chroot=${HERON_CI_CHROOT:-$cache/trixie}
log=$builds/debian13.log
mkdir -p "$builds" "$cache"

# The machine's own mirror, proxy settings included.
mirror() {
    apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' 'Component: main' 2>/dev/null | head -n 1
}
uri=$(mirror)
if [ -z "$uri" ]; then
    apt-get -q update >"$log" 2>&1 || true
    uri=$(mirror)
fi
[ -n "$uri" ] || { echo "no Debian mirror in this machine's apt sources" >&2 && exit 1; }

quietly() {
    "$@" >>"$log" 2>&1 || { tail -n 60 "$log" && echo "failed: $*" && return 1; }
}
: >"$log"

exec 9>"$cache/trixie.lock"
flock 9 # one run prepares the chroot, others wait
if [ ! -e "$chroot/heron-ready" ]; then
    echo "-- debootstrap trixie into $chroot"
    rm -rf --one-file-system "$chroot"
    quietly debootstrap --variant=minbase trixie "$chroot" "$uri"
fi
cp -L /etc/resolv.conf "$chroot/etc/resolv.conf" 2>/dev/null || true
apt-config dump | grep -E '^Acquire::[a-z]+::(Proxy|Verify)' >"$chroot/etc/apt/apt.conf.d/90proxy" || true

# bind <directory here> <directory there>: with what is mounted in it, such as /dev/pts, which terminals need.
bind() {
    mkdir -p "$chroot$2"
    mount --rbind "$1" "$chroot$2"
}
for folder in proc dev sys; do bind /$folder /$folder; done
mkdir -p "$cache/swiftshader-trixie" "$builds/debian13"
bind "$root" /heron/source
bind "$builds/debian13" /heron/build
bind "$cache/swiftshader-trixie" /heron/cache/heron/swiftshader-trixie
environment=(PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root CI="$CI" DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
    XDG_CACHE_HOME=/heron/cache)
if [ -n "${HERON_GOLDEN_DIR:-}" ]; then
    bind "$HERON_GOLDEN_DIR" /heron/golden
    environment+=(HERON_GOLDEN_DIR=/heron/golden)
fi
inside() { chroot "$chroot" env -i "${environment[@]}" "$@"; }

if [ ! -e "$chroot/heron-ready" ]; then
    echo "-- installing the toolchain and Mesa from trixie-backports"
    printf 'deb %s %s main\n' "$uri" trixie "$uri" trixie-backports >"$chroot/etc/apt/sources.list"
    quietly inside apt-get -q update
    quietly inside apt-get -qy -o Dpkg::Use-Pty=0 install --no-install-recommends g++ ccache git ca-certificates
    quietly inside apt-get -qy -o Dpkg::Use-Pty=0 install --no-install-recommends -t trixie-backports \
        mesa-vulkan-drivers mesa-drm-shim
    touch "$chroot/heron-ready"
fi
flock -u 9
ccache_here=$(ccache --get-config cache_dir)
mkdir -p "$ccache_here"
bind "$ccache_here" /heron/ccache
environment+=(CCACHE_DIR=/heron/ccache)
lavapipe=$(cd "$chroot" && find usr/share/vulkan/icd.d -name 'lvp_icd*' -not -name '*i?86*' | head -n 1)
environment+=(VK_DRIVER_FILES="/$lavapipe")
