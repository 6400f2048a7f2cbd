#!/bin/sh
# What the cross-SDK tests ask this SDK.
#   cli.sh supports FEATURE    exit 0 when the feature is there
#   cli.sh kao ALGORITHM       prints TYPE and CIPHERTEXT_BYTES of its key access object
here=$(dirname "$0")
case "$1" in
supports)
  case "$2" in
  mechanism-rsa-4096) exit 0 ;;
  mechanism-ec-curves-384-521) exit 0 ;;
  *) exit 1 ;;
  esac
  ;;
kao)
  grep -A 1 "case .*\"$2\"" "$here/wrap.go" |
    sed -n 's/.*Type: "\([^"]*\)", CiphertextBytes: \([0-9]*\).*/\1 \2/p'
  ;;
*) echo "cli.sh: supports FEATURE, or kao ALGORITHM" >&2; exit 2 ;;
esac
