#!/bin/sh
# Makes this folder's ya-runtime-vm the runtime of this user's provider, or puts back what was there before.
# usage: install.sh [--plugins FOLDER] [--gpu BUS:DEV.FN|none] [--no-test] | install.sh --remove [--plugins FOLDER]
#
# Without --gpu the first GPU of NVIDIA's is offered that the driver vfio-pci has; another is the host's own.
# Each version gets a folder of its own, and the descriptor changes in one step: VMs that run keep the files that they were started with.
set -eu

usage="usage: install.sh [--plugins FOLDER] [--gpu BUS:DEV.FN|none] [--no-test] | install.sh --remove [--plugins FOLDER]"
die() { echo "error: $*" >&2; exit 1; }

plugins=
gpu=
remove=
tests=yes
while [ $# -gt 0 ]; do
  case $1 in
    --plugins) plugins=${2:?--plugins needs a folder}; shift ;;
    --gpu) gpu=${2:?--gpu needs a PCI address, such as 01:00.0, or none}; shift ;;
    --no-test) tests= ;;
    --remove) remove=yes ;;
    -h | --help) echo "$usage"; exit 0 ;;
    *) die "unknown argument $1; $usage" ;;
  esac
  shift
done

here=$(cd "$(dirname "$0")" && pwd)
# The provider reads the first of its plugin folders that exists, and no other.
if [ -z "$plugins" ]; then
  plugins=$HOME/.local/lib/yagna/plugins
  provider=$(command -v ya-provider || true)
  if [ -n "$provider" ] && [ -d "$(dirname "$(readlink -f "$provider")")/plugins" ]; then
    plugins=$(dirname "$(readlink -f "$provider")")/plugins
  elif [ ! -d "$plugins" ] && [ -d /usr/lib/yagna/plugins ] && [ -w /usr/lib/yagna/plugins ]; then
    plugins=/usr/lib/yagna/plugins
  fi
fi
saved=$plugins/.before-gvmkit
# exe-unit's supervisor and the provider read ya-*.json.
gpu_descriptor=ya-gvmkit-vm-nvidia.json

if [ -n "$remove" ]; then
  [ -d "$saved" ] || die "nothing was installed in $plugins by this script"
  rm -f "$plugins/ya-runtime-vm.json" "$plugins/$gpu_descriptor"
  for file in "$saved"/*.json; do
    [ ! -e "$file" ] || mv "$file" "$plugins/"
  done
  rmdir "$saved"
  rm -rf "$plugins"/gvmkit-[0-9]*
  echo "removed; what was there before is back in $plugins"
  exit 0
fi

version=$(sed -n 's/.*"version": "\(.*\)".*/\1/p' "$here/ya-runtime-vm.json")
folder=gvmkit-$version
mkdir -p "$plugins"
[ -w "$plugins" ] || die "$plugins is not writable for this user"

# A second installation of the same version replaces its files by new ones of the same names; a running program keeps the old ones.
new=$plugins/$folder.new
rm -rf "$new"
mkdir "$new"
cp -R "$here/ya-runtime-vm" "$here/runtime" "$new/"
if [ -d "$plugins/$folder" ]; then
  (cd "$new" && find . -type d -exec mkdir -p "$plugins/$folder/{}" \; && find . -type f -exec mv -f {} "$plugins/$folder/{}" \;)
  rm -rf "$new"
else
  mv "$new" "$plugins/$folder"
fi

# Sets gpu to the address of a GPU that VMs may have.
find_gpu() {
  for device in /sys/bus/pci/devices/*; do
    [ -e "$device/class" ] || continue
    case $(cat "$device/vendor" "$device/class" | tr '\n' ' ') in
      "0x10de 0x0300"* | "0x10de 0x0302"*) ;;
      *) continue ;;
    esac
    driver="no driver"
    if [ -L "$device/driver" ]; then driver=$(basename "$(readlink "$device/driver")"); fi
    if [ "$driver" = vfio-pci ]; then
      gpu=${device##*/}
      return
    fi
    echo "note: the GPU ${device##*/} is not offered: $driver has it, and VMs need vfio-pci to have it"
  done
}
case $gpu in
  none) gpu= ;;
  "") find_gpu ;;
  *) [ -e "/sys/bus/pci/devices/$gpu" ] || [ -e "/sys/bus/pci/devices/0000:$gpu" ] || echo "note: there is no PCI device $gpu on this machine now" ;;
esac

# Descriptors of other runtimes that are offered under the same name would compete with ours.
names=vm${gpu:+|vm-nvidia}
mkdir -p "$saved"
for file in "$plugins"/*.json; do
  [ -e "$file" ] || continue
  [ ! -e "$saved/$(basename "$file")" ] || continue
  if grep -Eq "\"name\": *\"($names)\"" "$file" && ! grep -q '"runtime-path": "gvmkit-' "$file"; then mv "$file" "$saved/"; fi
done

# What the provider's owner has added to the runtime's arguments stays.
arguments=$(sed -n 's/^ *"extra-args": *\(\[.*\]\),\{0,1\} *$/\1/p' "$plugins/ya-runtime-vm.json" 2> /dev/null || true)
own=$(sed -n 's/^ *"extra-args": *\(\[.*\]\),\{0,1\} *$/\1/p' "$here/ya-runtime-vm.json")
if [ -n "$arguments" ] && [ "$arguments" != "$own" ]; then echo "note: extra-args stay what they were: $arguments"; else arguments=$own; fi

# describe FROM NAME: writes a descriptor in one step.
describe() {
  sed -e "s|\"runtime-path\": \".*\"|\"runtime-path\": \"$folder/ya-runtime-vm\"|" -e "s|@PCI_DEVICE@|$gpu|" "$here/$1" > "$plugins/.$2.new"
  mv -f "$plugins/.$2.new" "$plugins/$2"
}
describe ya-runtime-vm.json ya-runtime-vm.json
if [ "$arguments" != "$own" ]; then
  escaped=$(printf %s "$arguments" | sed 's/[\\&|]/\\&/g')
  sed "s|^\( *\"extra-args\": *\)\[.*\]|\1$escaped|" "$plugins/ya-runtime-vm.json" > "$plugins/.arguments.new"
  mv -f "$plugins/.arguments.new" "$plugins/ya-runtime-vm.json"
fi
if [ -n "$gpu" ]; then describe vm-nvidia.json "$gpu_descriptor"; else rm -f "$plugins/$gpu_descriptor"; fi
echo "installed gvmkit $version in $plugins; install.sh --remove puts back what was there before"
echo "the runtime is $plugins/$folder/ya-runtime-vm"
[ -e "$plugins/exe-unit" ] || echo "note: $plugins has no exe-unit, which yagna's installation brings; link it there"

if [ -e /dev/kvm ] && [ ! -w /dev/kvm ]; then
  echo "note: this user may not use /dev/kvm: sudo usermod -aG $(stat -c %G /dev/kvm) $(id -un), and log in again"
fi
[ -z "$tests" ] || "$plugins/$folder/ya-runtime-vm" test
