#!/usr/bin/env bash
# tools/setup.sh VENV [dev]: a virtual environment with polyasr and all it needs; with `dev`, also
# what tests and linters need. What the system lacks is installed where that is possible (Debian,
# Ubuntu, as root), and otherwise named, with the command to type.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1
extra=${2:+[$2]}

fail() {
    echo "polyasr: $*" >&2
    exit 1
}

fits() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    local name
    for name in ${PYTHON:-"$venv/bin/python" python3 python3.13 python3.12 python3.11}; do
        if fits "$name"; then
            echo "$name"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed, and ${PYTHON:-python3} is" \
        "$("${PYTHON:-python3}" --version 2>/dev/null || echo missing):" \
        "install one, then name it: make PYTHON=python3.12 demo"
}

# The Debian packages that are missing. webrtcvad, the one dependency without wheels, is compiled;
# the tests' speech comes from espeak-ng and flite.
missing_packages() {
    local debian_python=python3
    [ -x "/usr/bin/$(basename "$python")" ] && debian_python=$(basename "$python")
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "$debian_python-venv"
    "$python" -c 'import pathlib, sysconfig
assert pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()' 2>/dev/null ||
        echo "$debian_python-dev"
    command -v cc >/dev/null || command -v gcc >/dev/null || echo gcc
    if [ -n "$extra" ]; then
        command -v espeak-ng >/dev/null || echo "espeak-ng libespeak-ng1"
        command -v flite >/dev/null || echo flite
        command -v curl >/dev/null || echo curl
    fi
}

install_packages() {
    local command="apt-get install -y --no-install-recommends $*"
    if [ "$(uname)" = Darwin ]; then
        fail "this is missing: $*; type: xcode-select --install; brew install espeak-ng flite"
    elif ! command -v apt-get >/dev/null; then
        fail "these packages (Debian's names) are missing, install them: $*"
    elif [ "$(id -u)" != 0 ]; then
        fail "these packages are missing, type: sudo $command"
    fi
    echo "Installing $* …"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $command -qq >/dev/null
}

python=$(find_python)
missing=$(missing_packages)
[ -z "$missing" ] || install_packages $missing
fits "$venv/bin/python" || "$python" -m venv --clear "$venv"
quiet=$([ -t 1 ] || echo --quiet)
echo "Installing polyasr into $venv; the first time, this takes some minutes …"
"$venv/bin/python" -m pip install $quiet --disable-pip-version-check \
    -c constraints.txt -e ".$extra"
# The JavaScript client needs nothing; what checks its types is for the tests.
if [ -n "$extra" ] && command -v npm >/dev/null; then
    npm install --prefix client/js --no-package-lock --no-audit --no-fund --silent ||
        echo "polyasr: TypeScript could not be installed; the types of client/js stay unchecked"
fi
