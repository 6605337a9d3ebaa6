#!/bin/sh
# Writes what man and shells read about a program, as it prints it, below a folder with the layout of /usr/share. usage: share.sh PROGRAM FOLDER
set -eu
[ $# -eq 2 ] || { echo "usage: share.sh PROGRAM FOLDER" >&2; exit 2; }
program=$1 share=$2
name=$(basename "$program")
export ASAN_OPTIONS=detect_leaks=0  # of a build with sanitizers: a program that only prints leaves its memory to the kernel

mkdir -p "$share/man/man1" "$share/bash-completion/completions" "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d"
"$program" --man > "$share/man/man1/$name.1"
"$program" --completion bash > "$share/bash-completion/completions/$name"
"$program" --completion zsh > "$share/zsh/vendor-completions/_$name"
"$program" --completion fish > "$share/fish/vendor_completions.d/$name.fish"
