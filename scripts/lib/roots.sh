# Sourced by test after environment.sh: whole Debian systems to install into, where there is no
# network any more.
# shellcheck shell=bash
# shellcheck source=scripts/lib/environment.sh
. "${BASH_SOURCE[0]%/*}/environment.sh"

# What a packaged sftp-mfa runs on, and what it is built with. A clean root has only the first.
running_packages=(openssh-server openssh-client python3 systemd libpam-modules libpam-runtime procps
    iproute2)
building_packages=("${running_packages[@]}" python3-venv gcc make libc6-dev libpam0g-dev dpkg-dev
    debhelper lintian checkpolicy semodule-utils apparmor)
# The base of all containers: also a directory, a database, and what hosts need to use them.
container_packages=("${running_packages[@]}" python3-venv gcc make libc6-dev libpam0g-dev openssl
    libnss-extrausers libnss-sss libpam-sss sssd-ldap slapd ldap-utils postgresql)

# Makes a folder of the cache whose name and age tell what it holds, unless it is there.
kept_folder() { # NAME COMMAND... (gets the folder as its last argument)
    local folder=$cache/$1
    shift
    if [[ ! -e $folder ]]; then
        rm -rf "$folder.part"
        mkdir -m 700 "$folder.part" # has programs that are setuid, and grow old
        "$@" "$folder.part" >&2 </dev/null
        mv "$folder.part" "$folder"
    fi
    touch "$folder"
    echo "$folder"
}

debian_root() { # SUITE FOLDER PACKAGE...
    local suite=$1 folder=$2
    shift 2
    mmdebstrap --quiet --format=directory --variant=minbase \
        --include="$(IFS=, && echo "$*")" "$suite" "$folder"
}

make_roots() { # FOLDER
    local job jobs=()
    say "making Debian roots to install into"
    debian_root trixie "$1/trixie" "${running_packages[@]}" & jobs+=($!)
    debian_root bookworm "$1/bookworm" "${running_packages[@]}" & jobs+=($!)
    debian_root trixie "$1/trixie-build" "${building_packages[@]}" & jobs+=($!)
    debian_root bookworm "$1/bookworm-build" "${building_packages[@]}" & jobs+=($!)
    debian_root trixie "$1/containers" "${container_packages[@]}" & jobs+=($!)
    for job in "${jobs[@]}"; do wait "$job"; done
}

# Gets what the lock files name, for the Pythons of the roots.
make_wheels() { # PIP FOLDER
    local file version
    for version in 3.11 3.13; do
        say "getting wheels for Python $version"
        for file in runtime build; do
            "$1" -qq download --disable-pip-version-check --no-input --no-deps --only-binary :all: \
                --require-hashes --python-version "$version" --dest "$2/$version" \
                --requirement "requirements/$file.txt"
        done
    done
}

# Prints a folder with the roots bookworm, trixie, bookworm-build, trixie-build and containers, and
# one with the wheels 3.11 and 3.13.
roots_and_wheels() ( # PIP
    exec 9>"$cache/lock"
    flock 9
    month=$(date +%Y-%m) # security updates come in
    digest=$(sha256sum scripts/lib/roots.sh)
    kept_folder "roots-$month-${digest:0:16}" make_roots
    digest=$(cat requirements/{runtime,build}.txt | sha256sum)
    kept_folder "wheels-${digest:0:16}" make_wheels "$1"
)
