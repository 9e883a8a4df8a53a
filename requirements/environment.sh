# The virtual environment that run.sh runs in; sourced, needs $root.
# LOSSJAX_VENV (where), LOSSJAX_PYTHON (with which Python), LOSSJAX_DEVICE (which lock),
# LOSSJAX_EXTRA (which locks besides).

fail() { # code, words: one line on stderr
    echo "run.sh: $2" >&2
    exit "$1"
}

# cpu, cuda or tpu: what the machine has. The folder of devices is an argument for tests.
detect_device() {
    local devices=${1:-/dev}
    if compgen -G "$devices/nvidia[0-9]*" >/dev/null; then
        echo cuda
    elif compgen -G "$devices/accel[0-9]*" >/dev/null ||
        compgen -G "$devices/vfio/[0-9]*" >/dev/null; then
        echo tpu
    else
        echo cpu
    fi
}

choose_device() {
    case ${LOSSJAX_DEVICE:=$(detect_device)} in
        cpu | cuda | tpu) ;;
        *) fail 2 "LOSSJAX_DEVICE=$LOSSJAX_DEVICE: valid are cpu, cuda, tpu" ;;
    esac
}

choose_extras() { # locks that the verb wants
    local name
    extras=("$@")
    for name in $(tr , " " <<<"${LOSSJAX_EXTRA:-}"); do
        case $name in
            store | cluster | dev) extras+=("$name") ;;
            *) fail 2 "LOSSJAX_EXTRA=$LOSSJAX_EXTRA: valid are store, cluster, dev" ;;
        esac
    done
}

# Prints 3.11, 3.12 or 3.13, or fails where $1 is no Python or another version.
python_version() {
    "$1" -c 'import sys
version = sys.version_info[:2]
print("%d.%d" % version)
sys.exit(not (3, 11) <= version <= (3, 13))' 2>/dev/null
}

choose_python() {
    local name version
    if [[ -n ${LOSSJAX_PYTHON:-} ]]; then
        version=$(python_version "$LOSSJAX_PYTHON") || fail 2 \
            "LOSSJAX_PYTHON=$LOSSJAX_PYTHON is ${version:+Python }${version:-no Python}: valid are Python 3.11, 3.12 and 3.13"
        python=$LOSSJAX_PYTHON
        return
    fi
    for name in python3 python3.13 python3.12 python3.11; do
        if python_version "$name" >/dev/null; then
            python=$name
            return
        fi
    done
    version=$(python_version python3 || true)
    fail 2 "needs Python 3.11, 3.12 or 3.13, found ${version:-none}: install one and name it with LOSSJAX_PYTHON=PATH"
}

lock_stamp() { # lock: its name and sha256, as recorded in the environment
    local sum
    sum=$(sha256sum "$root/requirements/$1.lock")
    echo "$1 ${sum%% *}"
}

installed() { # lock: is the environment whole, and made from this very lock?
    local name=$1 version
    [[ -x $venv/bin/python && -f $venv/lossjax-locks ]] || return 1
    grep -qxF "$(lock_stamp "$name")" "$venv/lossjax-locks" || return 1
    if [[ -n ${LOSSJAX_PYTHON:-} ]]; then
        choose_python
        version=$(python_version "$python")
        grep -q "^version = $version\." "$venv/pyvenv.cfg" || return 1
    fi
}

create_environment() {
    local version
    if [[ -e $venv && ! -f $venv/lossjax-locks && -n $(ls -A "$venv") ]]; then
        fail 2 "$venv exists and was not made by run.sh: move it away, or name another place with LOSSJAX_VENV=PATH"
    fi
    choose_python
    version=$(python_version "$python")
    "$python" -c 'import ensurepip, venv' 2>/dev/null || fail 2 \
        "Python $version lacks its venv module: run 'sudo apt-get install python3-venv' (python$version-venv for a Python beside the system's) and start again"
    rm -rf "$venv"
    mkdir -p "$venv"
    : >"$venv/lossjax-locks" # empty: ours, but not finished
    "$python" -m venv "$venv" || fail 1 "cannot create $venv"
}

install_lock() { # lock, words
    local hashes=--require-hashes
    [[ $1 != bench ]] || hashes= # PyTorch is another build on every index
    echo "run.sh: installing $2 into $venv" >&2
    "$venv/bin/python" -m pip install $hashes --no-compile --no-input \
        --disable-pip-version-check -r "$root/requirements/$1.lock" >&2 || fail 1 \
        "the install stopped (see above): it needs a package index (PyPI) and about 2 GB of disk; start again to resume it"
    # Compiled here, on all cores, so that the first start is as fast as the others.
    echo "run.sh: compiling bytecode" >&2
    "$venv/bin/python" -m compileall -qq -j 0 -x '/tests?/' "$venv"/lib >&2 || true
    lock_stamp "$1" >>"$venv/lossjax-locks"
}

# Builds or mends the environment; returns in milliseconds when there is nothing to do.
prepare_environment() { # locks besides the device's
    local name missing=
    venv=${LOSSJAX_VENV:-$root/.venv}
    [[ $venv == /* ]] || venv=$PWD/$venv
    choose_device
    choose_extras "$@"
    for name in "$LOSSJAX_DEVICE" ${extras[@]+"${extras[@]}"}; do
        installed "$name" || missing=1
    done
    [[ -n $missing ]] || return 0
    mkdir -p "$(dirname "$venv")"
    trap 'exit 75' INT TERM
    # A second run.sh waits here; the descriptor closes with this subshell.
    (
        trap 'fail 75 "interrupted: start again to resume the install"' INT TERM
        if command -v flock >/dev/null && ! flock --nonblock 9; then
            echo "run.sh: waiting for another install into $venv" >&2
            flock 9
        fi
        if ! installed "$LOSSJAX_DEVICE"; then
            create_environment
            install_lock "$LOSSJAX_DEVICE" "the $LOSSJAX_DEVICE packages (once, $(install_time))"
        fi
        for name in ${extras[@]+"${extras[@]}"}; do
            installed "$name" || install_lock "$name" "the $name packages (once, about a minute)"
        done
    ) 9<"$(dirname "$venv")"
    trap - INT TERM
}

install_time() {
    case $LOSSJAX_DEVICE in
        cpu) echo "about 1 minute, 280 MB to download" ;;
        *) echo "several minutes, a few GB to download" ;;
    esac
}
