# Sourced by quickstart, test and check: what they need on the machine.
# shellcheck shell=bash
shopt -s inherit_errexit # or a step that fails inside $(…) would go unnoticed
umask 022
python=/usr/bin/python3 # not the PATH's: one under /root could not be read by a service user
cache=/var/cache/sftp-mfa-tests

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() {
    say "$*"
    exit 2
}

need_root_and_linux() {
    [[ $EUID -eq 0 ]] || die "must be run as root: it installs packages and makes accounts"
    command -v apt-get >/dev/null || die "needs Debian 12 or newer, or Ubuntu 24.04 or newer"
}

need_python() {
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$python must be 3.11 or newer"
}

absent_packages() {
    local name
    for name in "$@"; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || echo "$name"
    done
}

# Makes FILE with the given text unless it exists; take_back removes it.
put_for_now() { # FILE MODE TEXT
    [[ ! -e $1 ]] || return 0
    mkdir -p "$(dirname "$1")"
    put+=("$1")
    install -m "$2" /dev/stdin "$1" <<<"$3"
}

take_back() {
    local file
    for file in "${put[@]}"; do
        rm -f -- "$file"
        rmdir --ignore-fail-on-non-empty "$(dirname "$file")"
    done
}

# Installs what is missing, without letting a package start a service or make a database cluster.
need_packages() (
    mapfile -t missing < <(absent_packages "$@")
    ((${#missing[@]})) || exit 0
    say "installing ${missing[*]}"
    exec 9>/run/lock/sftp-mfa-packages # one at a time: the other's policy-rc.d goes when it ends
    flock 9
    put=()
    trap take_back EXIT
    put_for_now /usr/sbin/policy-rc.d 755 $'#!/bin/sh\nexit 101'
    [[ " ${missing[*]} " != *" postgresql "* ]] ||
        put_for_now /etc/postgresql-common/createcluster.d/sftp-mfa-tests.conf 644 \
            'create_main_cluster = false'
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=300 update
    apt-get -qq -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}" \
        >/dev/null </dev/null 9>&-
)

# Prints the folder of a virtual environment that holds exactly what a lock file names. Its wheels/
# has the same to install from where there is no network.
locked_venv() ( # FILE
    need_python
    digest=$({ "$python" -V && cat "$1" && declare -f locked_venv; } | sha256sum)
    venv=$cache/$(basename "$1" .txt)-${digest:0:16}
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    find "$cache" -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf {} +
    if [[ ! -e $venv/complete ]]; then
        say "installing $(basename "$1") into $venv"
        rm -rf "$venv"
        "$python" -m venv "$venv"
        pip=("$venv/bin/python" -m pip -qq --disable-pip-version-check --no-input)
        locked=(--only-binary :all: --require-hashes --requirement "$1")
        "${pip[@]}" download --dest "$venv/wheels" "${locked[@]}" >&2
        "${pip[@]}" install --no-index --find-links "$venv/wheels" "${locked[@]}" >&2
        touch "$venv/complete"
    fi
    touch "$venv" # used today
    echo "$venv"
)
