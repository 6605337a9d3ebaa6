#!/usr/bin/env bash
# Builds the libraries of which Debian 12 has no archives, or only with much that we do not use, for static programs. Prints the folders with
# them on standard output, with semicolons between them; nothing, and on standard error why, where the sources cannot be had.
#
# Each folder is cached as ${GVMKIT_BUILD_CACHE:-~/.cache/gvmkit-build}/static/<hash of all inputs>/.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
cache=${GVMKIT_BUILD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/gvmkit-build}/static
# shellcheck disable=SC2034  # debian_source.sh reads it
sources=$here/debian.sources
# shellcheck disable=SC1091
. "$here/debian_source.sh"
# shellcheck disable=SC1091
. "$here/show_progress.sh"
# shellcheck disable=SC2034  # cached() reads all three by their names
names=(fmtlib spdlog curl libarchive gnutls28 libmicrohttpd e2fsprogs)
# shellcheck disable=SC2034
libraries=(libssl-dev zlib1g-dev libbz2-dev liblzma-dev libzstd-dev liblz4-dev nettle-dev libgmp-dev libtasn1-6-dev libc6-dev)
# shellcheck disable=SC2034
postgresql_libraries=(libssl-dev libc6-dev)

by_cmake() {
  local name=$1
  shift
  echo "== $name"
  fetch_source "$name" "$name"
  cmake -S "$name" -B "build-$name" -G Ninja -D CMAKE_BUILD_TYPE=Release -D CMAKE_INSTALL_PREFIX="$prefix" -D CMAKE_INSTALL_LIBDIR=lib \
    -D CMAKE_PREFIX_PATH="$PWD/result$prefix" -D CMAKE_FIND_LIBRARY_SUFFIXES=.a -D BUILD_SHARED_LIBS=OFF "$@"
}

by_configure() {
  local name=${1%=*}
  echo "== $name"
  fetch_source "$1" "$name"
  shift
  mkdir "build-$name"
  (cd "build-$name" && "../$name/configure" --prefix="$prefix" --disable-shared --enable-static "$@")
}

install_cmake() { DESTDIR=$PWD/result ninja -C "build-$1" install; }

# A function build_… builds in the given folder, and leaves the results in its folder result, as if that were the root.
build_most() {
  cd "$1"
  export PKG_CONFIG_PATH=$PWD/result$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=
  by_cmake fmtlib -D FMT_TEST=OFF -D FMT_DOC=OFF
  install_cmake fmtlib
  by_cmake spdlog -D SPDLOG_FMT_EXTERNAL=ON -D SPDLOG_BUILD_EXAMPLE=OFF
  install_cmake spdlog
  # Which certificate authorities count is asked where a program runs (src/http/certificates.h).
  by_cmake curl -D BUILD_CURL_EXE=OFF -D BUILD_TESTING=OFF -D ENABLE_MANUAL=OFF -D HTTP_ONLY=ON -D CURL_DISABLE_NTLM=ON \
    -D CURL_USE_LIBSSH2=OFF -D CURL_USE_LIBPSL=OFF -D USE_LIBIDN2=OFF -D USE_NGHTTP2=OFF -D CURL_BROTLI=OFF -D CURL_ZSTD=OFF \
    -D CURL_CA_BUNDLE=none -D CURL_CA_PATH=none
  install_cmake curl
  by_cmake libarchive -D ENABLE_TEST=OFF -D ENABLE_TAR=OFF -D ENABLE_CPIO=OFF -D ENABLE_CAT=OFF -D ENABLE_OPENSSL=OFF -D ENABLE_NETTLE=OFF \
    -D ENABLE_LIBXML2=OFF -D ENABLE_EXPAT=OFF -D ENABLE_ACL=OFF -D ENABLE_XATTR=OFF -D ENABLE_LIBB2=OFF -D ENABLE_LZO=OFF -D ENABLE_PCREPOSIX=OFF
  ninja -C build-libarchive archive_static
  local libarchive=result$prefix
  cp build-libarchive/libarchive/libarchive.a "$libarchive/lib"
  cp libarchive/libarchive/archive{,_entry}.h "$libarchive/include"
  cp build-libarchive/build/pkgconfig/libarchive.pc "$libarchive/lib/pkgconfig"
  by_configure gnutls28 --disable-doc --disable-tools --disable-tests --disable-cxx --disable-libdane --disable-nls --without-p11-kit \
    --without-tpm --without-tpm2 --without-idn --with-included-unistring --without-brotli --without-zstd --without-zlib
  make -C build-gnutls28 -j "$(nproc)"
  make -C build-gnutls28 DESTDIR="$PWD/result" install
  rm "result$prefix/lib"/*.la # they name the folder
  sed -i "s|^prefix=.*|prefix=$PWD/result$prefix|" "result$prefix/lib/pkgconfig/gnutls.pc"
  # Its check of GnuTLS links a program, which needs all that the archive needs.
  by_configure libmicrohttpd PKG_CONFIG="pkg-config --static" --enable-https --disable-doc --disable-examples --disable-curl --disable-tools
  make -C build-libmicrohttpd -j "$(nproc)"
  make -C build-libmicrohttpd DESTDIR="$PWD/result" install
  rm "result$prefix/lib"/*.la
  sed -i "s|^prefix=.*|prefix=$prefix|" "result$prefix/lib/pkgconfig/gnutls.pc"
  # The runtime names mke2fs's configuration itself.
  by_configure e2fsprogs --sysconfdir=/nowhere --disable-nls --disable-fuse2fs --disable-uuidd --disable-backtrace --disable-defrag --disable-imager \
    --disable-resizer --disable-debugfs LDFLAGS=-static-pie
  make -C build-e2fsprogs -j "$(nproc)" libs
  make -C build-e2fsprogs/misc mke2fs
  mkdir -p "result$prefix/bin"
  strip -o "result$prefix/bin/mke2fs" build-e2fsprogs/misc/mke2fs
}

# PostgreSQL's client library. Debian's wants Kerberos and LDAP, of which there are no archives.
build_postgresql() {
  cd "$1"
  by_configure "${postgresql[@]}" --sysconfdir=/etc/postgresql-common --with-ssl=openssl --without-readline --without-zlib --without-icu
  local build=build-postgresql-15/src
  make -C "$build/interfaces/libpq" -j "$(nproc)" DESTDIR="$PWD/result" install
  make -C "$build/common" -j "$(nproc)"
  cp "$build/common/libpgcommon.a" "$build/port/libpgport.a" "result$prefix/lib"
  cp postgresql-15/src/include/postgres_ext.h "$build/include/pg_config_ext.h" "result$prefix/include"
  rm "result$prefix/lib"/*.so*
  sed -i 's/ -lm$//' "result$prefix/lib/pkgconfig/libpq.pc" # libm.a can be linked into static programs only
}

# fetchable_source NAME: as NAME=VERSION, the newest version that can be had. A mirror may list what it does not have yet.
fetchable_source() {
  local version checked=$cache/apt/checked
  mkdir -p "$checked"
  describe_sources "$1" > /dev/null || return 1
  for version in $(apt-cache -o "Dir::Etc::SourceList=$sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$cache/apt/lists" \
    showsrc --only-source "$1" 2> /dev/null | sed -n 's/^Version: //p' | sort -rV); do
    if [ -e "$checked/$1_$version.dsc" ] || (cd "$checked" && apt_source source --dsc-only --download-only "$1=$version") > /dev/null 2>&1; then
      echo "$1=$version"
      return
    fi
  done
  return 1
}

# cached BUILD RECIPE SOURCES PACKAGES: sets `prefix` to the folder with what the function BUILD makes. The last two name arrays. Everything
# that can change a byte is hashed: how it is built (count RECIPE up with a change of BUILD), the sources, the packages, the compiler.
cached() {
  local -n source_names=$3 packages=$4
  local described key work
  described=$(describe_sources "${source_names[@]}") || { echo "libraries: no static programs, since the sources cannot be had ($(source_trouble))" >&2; exit 0; }
  key=$({
    echo "$2"
    echo "$described"
    dpkg-query -W "${packages[@]}"
    gcc --version | head -n 1
    ld --version | head -n 1
  } | sha256sum | cut -c1-32)
  prefix=$cache/$key
  [ ! -d "$prefix" ] || return 0
  echo "libraries: building ${source_names[*]} (once; all of them some five minutes on two cores)" >&2
  work=$(mktemp -d "$cache/build.XXXXXX")
  # What is in a library names its sources, in messages. The folder of this build stays out of it.
  export CFLAGS="-O2 -ffile-prefix-map=$work=/build" CXXFLAGS="-O2 -ffile-prefix-map=$work=/build"
  # shellcheck disable=SC2064  # the folder of now
  trap "rm -rf '$work'" EXIT
  ("$1" "$work") > "$work/log" 2>&1 &
  show_progress libraries $! latest_step "$work/log" >&2 || { tail -n 30 "$work/log" >&2; echo "error: libraries: the build failed" >&2; exit 1; }
  mv "$work/result$prefix" "$prefix" # same file system: whole or absent
  rm -rf "$work"
}

mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9 # another build may be at it
cached build_most 3 names libraries
most=$prefix
postgresql=("$(fetchable_source postgresql-15)") || { echo "libraries: no static programs, since PostgreSQL's sources cannot be had ($(source_trouble))" >&2; exit 0; }
cached build_postgresql 4 postgresql postgresql_libraries
echo "$most;$prefix"
