#!/bin/sh
# Installs what `make demo` and `make test` need and is not there yet: Debian packages by apt,
# Python packages into .venv. Says what it installs; does nothing the second time.
# Usage: contrib/setup.sh   (from the top of the source tree)
set -eu
export DEBIAN_FRONTEND=noninteractive

packages='postfix postfix-lmdb postfix-cdb postfix-pcre libsasl2-modules libsasl2-modules-db sasl2-bin nsd strace systemd gcc libmilter-dev iproute2 swaks libnet-ssleay-perl'
# Mail servers that Debian does not install beside Postfix.
peers='exim4-daemon-light opensmtpd'
python=${PYTHON:-python3}

fail() {
    echo "setup: $*" >&2
    exit 69
}

# Runs apt-get, whose words are shown only if it fails.
apt_get() {
    log=$(mktemp)
    apt-get -q "$@" >"$log" 2>&1 ||
        { tail -n 20 "$log" >&2; fail "apt-get $* failed (all it said: $log)"; }
    rm -f "$log"
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
    apt_get update
    apt_get install -y --no-install-recommends $missing
fi

# Our daemons' user, as docs/install.md has it: the delivery agent reads its secrets by its group.
if [ "$(id -u)" = 0 ] && command -v systemd-sysusers >/dev/null && ! getent passwd postconnector >/dev/null
then
    echo "setup: making the system user postconnector"
    systemd-sysusers "$PWD/contrib/postfix/sysusers.conf" >/dev/null 2>&1 ||
        fail "systemd-sysusers could not make the user postconnector"
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

# Downloads the peers' packages into this folder.
download_peers() {
    if grep -q '^VERSION_CODENAME=bookworm$' /etc/os-release; then
        # Debian 12's OpenSMTPD fails every TLS handshake with Debian 12's OpenSSL; its backports
        # have a later one. The machine's own sources stay as they are.
        mkdir -p lists/partial
        echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]' \
            'http://deb.debian.org/debian bookworm-backports main' >backports.list
        set -- -o Dir::Etc::SourceList=./backports.list -o Dir::Etc::SourceParts=./none \
            -o Dir::State::Lists=./lists -o Dir::Cache=./cache -o APT::Sandbox::User=root
        apt_get "$@" update
        apt_get "$@" download opensmtpd
    fi
    for package in $peers; do
        [ -n "$(find . -name "${package}_*.deb")" ] ||
            apt_get -o APT::Sandbox::User=root download "$package"
    done
}

# Unpacked, each into a folder of its own, with the libraries that it needs installed. Only root can
# run them (tests/lab/unpacked.py), and without set-user-id bits nobody becomes root by them.
unpacked=.venv/peers
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null &&
    [ "$(cat $unpacked/stamp 2>/dev/null || true)" != "$peers" ]; then
    echo "setup: unpacking into $unpacked, without installing: $peers"
    rm -rf $unpacked
    mkdir -p $unpacked/archives
    apt_get update
    (cd $unpacked/archives && download_peers)
    for archive in $unpacked/archives/*.deb; do
        dpkg-deb --extract "$archive" "$unpacked/$(dpkg-deb --field "$archive" Package)"
        libraries=$(dpkg-deb --field "$archive" Depends | tr ',' '\n' | grep '^ *z\{0,1\}lib')
        apt_get satisfy -y --no-install-recommends "$(echo "$libraries" | tr '\n' ',')"
    done
    chmod -R u-s,g-s $unpacked
    rm -r $unpacked/archives
    echo "$peers" >$unpacked/stamp
fi
