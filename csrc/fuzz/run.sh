#!/bin/sh
# Fuzz the GGUF reader under AddressSanitizer and UndefinedBehaviorSanitizer: csrc/fuzz/run.sh [COUNT [SEED [FILE…]]]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# shellcheck disable=SC2086  # CC may hold a wrapper and flags
${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -fno-omit-frame-pointer \
    -fsanitize=address,undefined -fno-sanitize-recover=all -I "$root/csrc" \
    "$root"/csrc/fuzz/*.c "$root"/csrc/gguf/*.c "$root"/csrc/platform/error.c "$root"/csrc/platform/mapping.c \
    "$root"/csrc/quant/types.c -o "$work/gguf_fuzz"
[ $# -gt 0 ] || set -- 100000
"$work/gguf_fuzz" "$@"
