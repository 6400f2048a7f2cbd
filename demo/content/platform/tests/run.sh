#!/bin/sh
# The platform's tests: all, or the named parts (proto, service, sdk).
# A new proto entry is legal before the service and the SDK know it, hence the parts.
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || set -- proto service sdk
for part do
  PYTHONDONTWRITEBYTECODE=1 python3 -m unittest -q "test_$part"
done
