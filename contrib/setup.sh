#!/bin/sh
# Installs what `make demo` and `make test` need and is not there yet: Debian packages by apt,
# Python packages into .venv. Says what it installs; does nothing the second time.
# Usage: contrib/setup.sh   (from the top of the source tree)
set -eu

packages='postfix postfix-lmdb postfix-cdb postfix-pcre libsasl2-modules libsasl2-modules-db sasl2-bin nsd strace systemd gcc libmilter-dev'
python=${PYTHON:-python3}

fail() {
    echo "setup: $*" >&2
    exit 69
}

# Python itself: at least 3.11, able to make a venv, with the headers that pymilter builds with.
python_is_complete() {
    "$python" - 2>/dev/null <<'EOF'
import ensurepip, pathlib, sys, sysconfig, venv
assert sys.version_info >= (3, 11)
assert pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()
EOF
}
if ! python_is_complete; then
    packages="$packages python3 python3-venv python3-dev"
fi

missing=
if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    for package in $packages; do
        state=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
        [ "$state" = 'install ok installed' ] || missing="$missing $package"
    done
else
    for command in postfix saslpasswd2 nsd gcc; do
        command -v "$command" >/dev/null ||
            fail "this is not Debian, and $command is missing; install the equivalents of: $packages"
    done
fi

if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || fail "not root, so can't install; as root: apt-get install$missing"
    echo "setup: installing Debian packages:$missing"
    # The installed Postfix and nsd are only run privately: neither configured nor started here.
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
        chmod 755 /usr/sbin/policy-rc.d
        trap 'rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    command -v postconf >/dev/null || [ -e /etc/postfix/main.cf ] ||
        echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
    export DEBIAN_FRONTEND=noninteractive
    log=$(mktemp)
    { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; fail "apt-get could not install:$missing (all it said: $log)"; }
    rm -f "$log"
fi
python_is_complete || fail "$python is not Python 3.11 or later with venv and headers; set PYTHON="

stamp=.venv/setup.stamp
wanted=$(cat pyproject.toml contrib/setup.sh | sha256sum)
if [ "$(cat $stamp 2>/dev/null || true)" != "$wanted" ]; then
    echo "setup: installing Python packages into .venv"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --use-pep517 \
        --editable '.[test]' ||
        fail "pip could not install the Python packages; is the package registry reachable?"
    echo "$wanted" >$stamp
fi
