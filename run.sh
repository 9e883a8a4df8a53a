#!/usr/bin/env bash
# The one command: ./run.sh VERB [ARGUMENTS]. Builds its environment on first use.
# Started as `sh run.sh`: go on in bash.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@"
set -euo pipefail
root=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")

# The verbs with their descriptions, read from the case statement below.
verbs() { sed -n 's/^    \([a-z]*\)) .* # \(.*\)$/\1 \2/p' "$root/run.sh"; }

usage() {
    echo "usage: ./run.sh VERB [ARGUMENTS]     (./run.sh VERB --help tells more)"
    echo "       ./run.sh --version | --completion"
    verbs | while read -r name words; do printf '  %-10s %s\n' "$name" "$words"; done
}

verb=${1:-}
module="lossjax.suite.cli $verb"
extra=""
trains=""
case $verb in
    sweep) trains=1 ;; # trains the grid of --config, writes the report, prints the comparison
    report) ;; # rebuilds tables, figures and report from stored runs
    reproduce) trains=1 ;; # rebuilds published figures, with published and reproduced numbers
    advise) trains=1 ;; # recommends a loss for your own images, with evidence
    verify) ;; # recomputes every number of a report from the stored runs
    losses) ;; # prints the loss table, or one loss card
    metrics) ;; # prints the metric table, or one metric card
    data) ;; # data list, data prepare NAME: datasets and their state
    launch) ;; # runs a sweep on cloud TPU or any rented accelerator
    soak) ;; # injects faults into real sweeps and counts what was lost
    bench) extra=bench trains=1 ;; # measures speed against a PyTorch twin, in pairs
    docs) extra=docs ;; # builds README and docs/ as a site
    test) module=tests extra=dev ;; # linter, type checker, import rules and tests
    -h | --help | help) usage; exit ;;
    --version) sed -n 's/^version = "\(.*\)"/lossjax \1/p' "$root/pyproject.toml"; exit ;;
    --completion) ;;
    *)
        {
            [[ -z $verb ]] || echo "run.sh: unknown verb '$verb'"
            usage
        } >&2
        exit 2
        ;;
esac
shift
# To tell of a verb needs nothing but the programs.
[[ ! " $* " =~ \ --?h(elp)?\  ]] || extra=

# shellcheck source=requirements/environment.sh
source "$root/requirements/environment.sh"
prepare_environment $extra
# Only this clone's modules: neither the user's PYTHONPATH nor the current folder. Texts
# are UTF-8 in every locale.
export PYTHONPATH=$root PYTHONSAFEPATH=1 PYTHONUTF8=1
# What a call of training works in lies in large pages and stays with the process: a tenth
# of the time of a short sweep of MNIST. Only glibc reads it; bits are the same.
if [[ -n $trains ]]; then
    large=glibc.malloc.hugetlb=1
    kept=glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=1073741824
    export GLIBC_TUNABLES=${GLIBC_TUNABLES:-$large:$kept}
fi
# shellcheck disable=SC2086
exec "$venv/bin/python" -m $module "$@"
