#!/usr/bin/env bash
# Regenerates every lock from pyproject.toml: ./requirements/lock.sh [--upgrade]
# One lock serves every supported Python; needs uv (pip install uv) and network.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # lock, source, options
    local lock="requirements/$1.lock" source=$2
    shift 2
    uv pip compile "$source" --quiet --universal --python-version 3.11 \
        --generate-hashes --no-config --no-emit-index-url --no-emit-find-links \
        --custom-compile-command "requirements/lock.sh" --output-file "$lock" "$@"
    echo "$lock: $(grep -c '==' "$lock") packages"
}

# For what comes as source only: promise, which tensorflow-datasets needs.
compile build - "$@" <<<setuptools
core=(pyproject.toml --extra suite --constraints requirements/constraints.txt)
compile cpu "${core[@]}" "$@"
# The others may add packages but never move one that a CPU run is published with.
core+=(--constraints requirements/cpu.lock)
compile cuda "${core[@]}" --extra cuda "$@"
compile cuda13 "${core[@]}" --extra cuda13 "$@"
compile tpu "${core[@]}" --extra tpu "$@"
compile store "${core[@]}" --extra store "$@"
compile cluster "${core[@]}" --extra cluster --extra store "$@"
compile dev "${core[@]}" --group dev "$@"
compile docs "${core[@]}" --group docs "$@"
# PyTorch comes as another build, with other libraries, on every index: here its version
# is fixed, not its hash, and pip finds what the build at hand needs besides.
sed -n 's/^bench = \["\(.*\)"\]$/\1/p' pyproject.toml |
    uv pip compile - --quiet --no-header --no-annotate --python-version 3.11 \
        --constraints requirements/constraints.txt --constraints requirements/cpu.lock \
        --no-config --no-emit-index-url --no-emit-find-links |
    grep -vE '^(nvidia-|cuda-|triton)' >requirements/bench.lock
# SkyPilot has its own idea of protobuf, so it gets an environment of its own.
sed -n 's/^launch = \["\(.*\)"\]$/\1/p' pyproject.toml | compile launch - "$@"
