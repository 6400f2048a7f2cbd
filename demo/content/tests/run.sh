#!/bin/sh
set -eu
cd "$(dirname "$0")/xtest"
PYTHONDONTWRITEBYTECODE=1 python3 -m unittest -q
