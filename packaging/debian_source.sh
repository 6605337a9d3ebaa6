# Fetches Debian's source packages, whose signatures apt checks, whatever this system's own sources are. To be sourced by a script that has set
#   cache     a folder of its own in the build cache
#   sources   a .sources file (sources.list(5))
# shellcheck shell=bash disable=SC2154

# The text behind the errors below, for people.
source_trouble() { grep -m 1 '^[EW]: ' "$cache/apt/log" 2> /dev/null || echo "apt-get does not know it"; }

apt_source() {
  apt-get -o "Dir::Etc::SourceList=$sources" -o Dir::Etc::SourceParts=- -o "Dir::State::Lists=$cache/apt/lists" \
    -o "Dir::Cache=$cache/apt/cache" -o APT::Sandbox::User=root -o Acquire::Retries=1 -o Acquire::http::Timeout=20 "$@"
}

# describe_sources NAME...: the newest versions as the lines "NAME.dsc SIZE HASH", looked up once a day; fails where they cannot be had.
describe_sources() {
  command -v apt-get > /dev/null || return 1
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/cache/archives/partial"
  if [ -z "$(find "$cache/apt/stamp" -mtime -1 2> /dev/null)" ]; then
    # Where this fails, what was looked up earlier still counts. A failed download is a warning.
    if apt_source update > "$cache/apt/log" 2>&1 && ! grep -q '^[EW]: ' "$cache/apt/log"; then touch "$cache/apt/stamp"; fi
  fi
  local name
  for name in "$@"; do
    apt_source source --print-uris "$name" 2> /dev/null | grep -o '[^ ]*\.dsc .*' || return 1
  done
}

# fetch_source NAME FOLDER: unpacks it into a new folder, with Debian's patches.
fetch_source() {
  local downloads
  downloads=$(mktemp -d "$PWD/download.XXXXXX")
  (cd "$downloads" && apt_source source --download-only "$1")
  dpkg-source --no-check -x "$downloads"/*.dsc "$2" # apt has checked it
  rm -r "$downloads"
}
