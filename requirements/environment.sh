# The virtual environment that run.sh runs in; sourced, needs $root.
# LOSSJAX_VENV (where), LOSSJAX_PYTHON (with which Python), LOSSJAX_DEVICE (which lock),
# LOSSJAX_EXTRA (which locks besides).

fail() { # code, words: one line on stderr
    echo "run.sh: $2" >&2
    exit "$1"
}

DEVICES="cpu cuda cuda13 tpu"

# One of DEVICES: what the machine has. The root is an argument for tests. A guest's
# /dev/vfio may be any card, so that a TPU is known by its maker; in WSL2 there is no
# /dev/nvidia*.
detect_device() {
    local root=${1:-}
    if compgen -G "$root/dev/nvidia[0-9]*" >/dev/null ||
        compgen -G "$root/usr/lib/wsl/lib/libcuda.so*" >/dev/null; then
        detect_cuda "$root"
    elif compgen -G "$root/dev/accel[0-9]*" >/dev/null ||
        { compgen -G "$root/dev/vfio/[0-9]*" >/dev/null &&
            grep -qsx 0x1ae0 "$root"/sys/bus/pci/devices/*/vendor; }; then
        echo tpu
    else
        echo cpu
    fi
}

# CUDA 13 needs a driver of 580 or later and no GPU older than Turing, whose PCI numbers
# begin at 0x1e00. Where that cannot be read, CUDA 12 it is, which goes with any driver.
detect_cuda() {
    local root=$1 card driver
    driver=$(cat "$root/proc/driver/nvidia/version" 2>/dev/null) || driver=
    if [[ $driver =~ \ ([0-9]{3,})\.[0-9.]+\  ]] && ((BASH_REMATCH[1] >= 580)); then
        for card in "$root"/sys/bus/pci/devices/*; do
            # Displays and computing alone: a card has a number for its sound, too.
            [[ $(cat "$card/vendor" "$card/class" 2>/dev/null) == 0x10de$'\n'0x03* ]] ||
                continue
            driver=new
            (($(<"$card/device") >= 0x1e00)) || break
            driver=13
        done
        [[ $driver != 13 ]] || { echo cuda13 && return; }
    fi
    echo cuda
}

choose_device() {
    local device
    for device in $DEVICES; do
        [[ ${LOSSJAX_DEVICE:=$(detect_device)} != "$device" ]] || return 0
    done
    fail 2 "LOSSJAX_DEVICE=$LOSSJAX_DEVICE: valid are ${DEVICES// /, }"
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
    "$1" -I -c 'import sys
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

# $python becomes one that can build an environment: not of a virtual environment that is
# active and may be the very one to be built.
choose_base_python() {
    local version
    choose_python
    version=$(python_version "$python")
    python=$("$python" -I -c 'import ensurepip, sys, venv
print(getattr(sys, "_base_executable", None) or sys.executable)' 2>/dev/null) || fail 2 \
        "Python $version lacks its venv module: run 'sudo apt-get install python3-venv' (python$version-venv for a Python beside the system's) and start again"
}

lock_stamp() { # lock: $stamp becomes its name and sha256, as the environment records it
    local sum
    sum=$(sha256sum <"$root/requirements/$1.lock" 2>/dev/null || true)
    # Without this a good environment would look like one of other locks, and be emptied.
    [[ $sum =~ ^[0-9a-f]{64} ]] || fail 2 \
        "cannot tell the sha256 of requirements/$1.lock: sha256sum is needed on PATH"
    stamp="$1 ${sum%% *}"
}

starts() { # is there a Python, and does it start?
    [[ -x $venv/bin/python ]] && "$venv/bin/python" -I -S -c '' 2>/dev/null
}

# Is the environment whole, as far as can be seen in milliseconds: the modules that its
# install found are still there, and its Python starts?
whole() {
    local line
    [[ -r $venv/lossjax-locks ]] || return 1
    while read -r line; do
        [[ $line != lib* || -f $venv/$line ]] || return 1
    done <"$venv/lossjax-locks"
    starts
}

installed() { # lock: was the environment made from this very lock?
    local line stamp version
    [[ -r $venv/lossjax-locks ]] || return 1
    lock_stamp "$1"
    while read -r line; do
        [[ $line != "$stamp" ]] || break
    done <"$venv/lossjax-locks"
    [[ $line == "$stamp" ]] || return 1
    if [[ -n ${LOSSJAX_PYTHON:-} ]]; then
        choose_python
        version=$(python_version "$python")
        grep -q "^version = $version\." "$venv/pyvenv.cfg" || return 1
    fi
}

# Makes $venv ours to write in, or says in one line why it cannot be.
claim_place() {
    local device
    # In this order: another run.sh may be making its lock file this very moment.
    if [[ -n $(ls -A "$venv" 2>/dev/null) && ! -f $venv/lossjax-locks ]]; then
        fail 2 "$venv exists and was not made by run.sh: move it away, or name another place with LOSSJAX_VENV=PATH"
    fi
    for device in $DEVICES; do
        if [[ $device != "$LOSSJAX_DEVICE" ]] && starts &&
            grep -q "^$device " "$venv/lossjax-locks"; then
            fail 2 "$venv is an environment for $device and stays one: name another place for $LOSSJAX_DEVICE with LOSSJAX_VENV=PATH"
        fi
    done
    # Appending, not -w: it asks what the file system says, and makes the lock file.
    { mkdir -p "$venv" && : >>"$venv/lossjax-locks"; } 2>/dev/null ||
        fail 2 "cannot write to $venv: name a place of your own with LOSSJAX_VENV=PATH"
}

create_environment() {
    : >"$venv/lossjax-locks" # empty: ours, but not finished
    find "$venv/" -mindepth 1 ! -name lossjax-locks -delete 2>/dev/null || fail 1 \
        "cannot empty $venv (in use, or files of another user): name a place of your own with LOSSJAX_VENV=PATH"
    "$python" -I -m venv "$venv" >&2 || fail 1 "cannot create $venv"
    # What pip builds from source (a lock may hold such a package) is built with this.
    pip_install build --require-hashes
}

# Python hears only of what changes neither its modules nor what they do; run.sh sets its
# own path.
clean_python_variables() {
    local name
    for name in "${!PYTHON@}"; do
        case ${name#PYTHON} in
            UNBUFFERED | DONTWRITEBYTECODE | PYCACHEPREFIX | FAULTHANDLER) ;;
            *) unset "$name" ;;
        esac
    done
}

# pip hears of the user's settings only how to reach an index and what to keep off.
clean_pip_variables() {
    local name
    for name in "${!PIP_@}"; do
        case ${name#PIP_} in
            INDEX_URL | EXTRA_INDEX_URL | FIND_LINKS | NO_INDEX | CONSTRAINT) ;;
            TRUSTED_HOST | CERT | CLIENT_CERT | PROXY | KEYRING_PROVIDER) ;;
            TIMEOUT | DEFAULT_TIMEOUT | RETRIES | RESUME_RETRIES) ;;
            CACHE_DIR | NO_CACHE_DIR | CONFIG_FILE) ;;
            *) unset "$name" ;;
        esac
    done
    # These overrule a pip.conf; pip_install does so where no variable can.
    export PIP_USER=0 PIP_DRY_RUN=0 PIP_NO_DEPS=0 PIP_IGNORE_INSTALLED=0
}

# Of what pip says, how far it is: in one line of a terminal, or once for 20 packages.
follow_pip() { # lock
    local all count=0 word package rest
    all=$(grep -c '^[[:alnum:]._-]*==' "$root/requirements/$1.lock" || true)
    while read -r word package rest; do
        case $word in
            Collecting | Ignoring) ;;
            Processing) package=${package##*/} package=${package%%-*} ;; # a file
            Requirement) package=${rest#* } ;; # already satisfied: NAME
            Installing) rest="run.sh: unpacking" ;;
            *) continue ;;
        esac
        if [[ $word != Installing ]]; then
            count=$((count + 1))
            rest="run.sh: $count of $all packages: ${package%%[=:]*}"
        fi
        if [[ -t 2 ]]; then
            printf '%-78.78s\r' "$rest" >&2
        elif [[ $word != Installing && $((count % 20)) == 0 ]]; then
            echo "$rest" >&2
        fi
    done
    [[ ! -t 2 ]] || printf '%78s\r' "" >&2
}

pip_install() { # lock, options: into the environment, wherever a pip.conf would put it
    local name=$1
    shift
    "$venv/bin/python" -I -m pip --python= install --no-user --target= --root=/ \
        --prefix="$venv" --no-binary=:none: --only-binary=:none: \
        --no-build-isolation --use-pep517 --no-compile --no-input \
        --disable-pip-version-check --progress-bar=off \
        -r "$root/requirements/$name.lock" "$@" 2>"$venv/pip-errors" |
        follow_pip "$name" || {
        cat "$venv/pip-errors" >&2
        fail 1 \
            "the install stopped (see above): it needs a package index (PyPI) and about 2 GB of disk; start again to resume it"
    }
    rm -f "$venv/pip-errors"
}

install_lock() { # lock
    local hashes=--require-hashes modules line stamp
    [[ $1 != bench ]] || hashes= # PyTorch is another build on every index
    pip_install "$1" $hashes
    # Compiled here, on all cores, so that the first start is as fast as the others.
    echo "run.sh: compiling bytecode" >&2
    "$venv/bin/python" -I -m compileall -qq -j 0 -x '/tests?/' "$venv"/lib >&2 || true
    echo "run.sh: importing the packages" >&2
    modules=$("$venv/bin/python" -I "$root/requirements/check.py" \
        "$root/requirements/$1.lock") || fail 1 \
        "the packages in $venv cannot be imported (see above): look for a pip.conf that sends them elsewhere, and start again"
    lock_stamp "$1"
    {
        while read -r line; do
            [[ ! -f $venv/$line ]] || echo "$line"
        done <<<"$modules"
        echo "$stamp"
    } >>"$venv/lossjax-locks"
}

# Builds or mends the environment; returns in milliseconds when there is nothing to do.
prepare_environment() { # locks besides the device's
    local name missing=
    clean_python_variables
    choose_device
    choose_extras "$@"
    venv=${LOSSJAX_VENV:-$root/.venv-$LOSSJAX_DEVICE}
    [[ $venv == /* ]] || venv=$PWD/$venv
    for name in "$root" "$venv"; do
        [[ $name != *:* ]] ||
            fail 2 "$name: Python takes no path with a colon: move the clone, or the environment with LOSSJAX_VENV=PATH"
    done
    for name in "$LOSSJAX_DEVICE" ${extras[@]+"${extras[@]}"}; do
        installed "$name" || missing=1
    done
    whole || missing=1
    [[ -n $missing ]] || return 0
    # Before anything is written; again below, where another install may have failed.
    { whole && installed "$LOSSJAX_DEVICE"; } || choose_base_python
    claim_place
    trap 'exit 75' INT TERM
    # A second run.sh waits here; the descriptor closes with this subshell.
    (
        trap 'fail 75 "interrupted: start again to resume the install"' INT TERM
        if command -v flock >/dev/null && ! flock --nonblock 9; then
            echo "run.sh: waiting for another install into $venv" >&2
            flock 9
        fi
        clean_pip_variables
        if ! whole || ! installed "$LOSSJAX_DEVICE"; then
            echo "run.sh: installing the $LOSSJAX_DEVICE packages (once, $(install_time)) into $venv" >&2
            choose_base_python
            create_environment
            install_lock "$LOSSJAX_DEVICE"
        fi
        for name in ${extras[@]+"${extras[@]}"}; do
            installed "$name" && continue
            echo "run.sh: installing the $name packages (once, about a minute) into $venv" >&2
            install_lock "$name"
        done
    ) 9>>"$venv/lossjax-locks"
    trap - INT TERM
}

install_time() {
    case $LOSSJAX_DEVICE in
        cpu) echo "about 1 minute, 280 MB to download" ;;
        *) echo "several minutes, a few GB to download" ;;
    esac
}
