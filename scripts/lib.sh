# SPDX-License-Identifier: BSD-3-Clause
# Shared by the scripts beside this file: what has to be installed, how it is installed, how to say
# what goes on. Sourced, never run.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export LC_ALL=C.UTF-8

# The one list of Debian packages, by what needs them.
packages_build=(gcc libc6-dev cmake ninja-build pkg-config flex
	libusb-1.0-0-dev libudev-dev libsystemd-dev libjson-c-dev libssl-dev libpcap-dev)
packages_demo=(pcsc-tools opensc)
packages_test=(check python3 binutils mount openssl tshark "${packages_demo[@]}")
packages_test_all=(gdb clang clang-tidy clang-format libclang-rt-14-dev spin)
packages_package=(git debhelper dpkg-dev lintian rpm)
packages_system=(git debootstrap qemu-system-x86 e2fsprogs debhelper dpkg-dev libnss3-tools)

say() {
	printf '\n== %s\n' "$*"
}

# as_root COMMAND...: runs it as root; through sudo where we are an ordinary user.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "cannot run '$*': neither root nor sudo" >&2
		return 1
	fi
}

# packages_missing PACKAGE...: those that are not installed, one a line.
packages_missing() {
	local package
	for package in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
			echo "$package"
	done
}

# need_packages PACKAGE...: installs with apt what is missing, and asks nothing. Without
# recommended packages: opensc and pcsc-tools recommend pcscd, which would start a service.
need_packages() {
	local missing
	mapfile -t missing < <(packages_missing "$@")
	[ "${#missing[@]}" -gt 0 ] || return 0
	say "Installing with apt: ${missing[*]}"
	as_root apt-get update -q
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# build PRESET [TARGET...]: configures and builds build/PRESET.
build() {
	local preset=$1
	shift
	(cd "$top" && cmake --preset "$preset" >"/tmp/cardwire-configure-$$.log" 2>&1) || {
		cat "/tmp/cardwire-configure-$$.log" >&2
		rm -f "/tmp/cardwire-configure-$$.log"
		return 1
	}
	rm -f "/tmp/cardwire-configure-$$.log"
	cmake --build "$top/build/$preset" ${1:+--target "$@"}
}
