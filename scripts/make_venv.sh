#!/bin/sh
# Make a virtual environment: sh scripts/make_venv.sh DIR
# PYTHON names the interpreter; otherwise the newest one we test with is looked for, then whatever python3 is.
set -eu

dir=${1:?usage: make_venv.sh DIR}

say() { printf '%s\n' "$*" >&2; }

# Run it rather than look for it: a version manager's shim can be on the PATH without a Python behind it.
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.13 python3.12 python3.11 python3; fi
    for candidate in "$@"; do
        if new_enough "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

# Whoever else installs something at this moment is waited for, five minutes at most. apt-get's own option waits for dpkg's lock
# only, not for that of the package lists.
apt_get() {
    left=150
    while :; do
        LC_ALL=C apt-get -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$dir.apt" 2>&1 && status=0 || status=$?
        cat "$dir.apt" >&2
        grep -q 'Could not get lock' "$dir.apt" && [ "$left" -gt 0 ] || break
        left=$((left - 1))
        sleep 2
    done
    rm -f "$dir.apt"
    return "$status"
}

make_venv() { "$python" -m venv --clear "$dir" >/dev/null 2>&1 && "$dir/bin/python" -m pip --version >/dev/null 2>&1; }

if ! python=$(find_python); then
    if [ -n "${PYTHON:-}" ]; then
        say "PYTHON=$PYTHON does not run or is older than Python 3.11, which Gerbang needs."
    else
        say "Gerbang needs Python 3.11 or newer; none of python3.13, python3.12, python3.11, python3 is."
        say "Install one (Debian: apt install python3 python3-venv; macOS: brew install python@3.13),"
        say "or say where it is: PYTHON=/path/to/python3 make ..."
    fi
    exit 1
fi

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
say "Making $dir with Python $version ($python) ..."

# Half an environment would look like a whole one to make.
trap 'status=$?; [ "$status" -eq 0 ] || rm -rf "$dir"; exit "$status"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

make_venv && exit 0

# Debian and Ubuntu keep the venv module's pip in a package of its own.
if ! "$python" -c 'import ensurepip' >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    if [ "$(id -u)" -eq 0 ]; then
        say "Installing python$version-venv with apt-get ..."
        export DEBIAN_FRONTEND=noninteractive
        apt_get update -qq || true
        apt_get install -y -qq "python$version-venv" || apt_get install -y -qq python3-venv || true
        make_venv && exit 0
    else
        say "This Python cannot make virtual environments yet. Run this, then make again:"
        say "    sudo apt-get install python$version-venv"
        exit 1
    fi
fi

say "$python -m venv $dir failed:"
"$python" -m venv --clear "$dir" >&2 || true
exit 1
