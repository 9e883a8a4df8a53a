#!/usr/bin/env bash
# Regenerates every lock from pyproject.toml: ./requirements/lock.sh [--upgrade]
# One lock serves every supported Python; needs uv (pip install uv) and network.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() {
    local lock="requirements/$1.lock"
    shift
    uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
        --generate-hashes --no-config --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "requirements/lock.sh" --output-file "$lock" "$@"
    echo "$lock: $(grep -c '==' "$lock") packages"
}

compile cpu "$@"
# The others may add packages but never move one that a CPU run is published with.
compile cuda "$@" --extra cuda --constraints requirements/cpu.lock
compile tpu "$@" --extra tpu --constraints requirements/cpu.lock
compile dev "$@" --group dev --constraints requirements/cpu.lock
