# Sourced by backup and restore: the volumes that cannot be created again, or not quickly, and how to access them.
# shellcheck shell=bash

PROJECT=$(docker compose config | sed -n 's/^name: //p')
# shellcheck disable=SC2034  # backup and restore read it
KEPT=(secrets postgres minio lakehouse)
IMAGE=ecommerce-data-pipeline/secrets-init # the smallest that has tar
# The folder that secrets-init mounts as /own; its path may contain spaces.
OWN_SECRETS=$(docker compose config | awk '
    $1 == "source:" {sub(/^ *source: /, ""); source = $0}
    $1 == "target:" && $2 == "/own" {gsub(/^"|"$/, "", source); print source; exit}')

volume() { echo "${PROJECT}_$1"; }

# in_volume VOLUME[:ro] COMMAND… runs a command with the volume at /volume, without a network. It runs as root, because
# the volume's files belong to several users.
in_volume() {
    local mount=${1/%:ro/:/volume:ro}
    [ "$mount" != "$1" ] || mount=$1:/volume
    docker run --rm --interactive --pull never --network none --user 0:0 --volume "$mount" --entrypoint "$2" "$IMAGE" "${@:3}"
}

# The user's own secrets, without the page that explains them.
own_secrets() { find "$OWN_SECRETS" -mindepth 1 -maxdepth 1 -type f ! -name README.md ! -name '.*' -exec basename {} \; | sort; }

sha256() { if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi; }

complain() {
    echo "$*" >&2
    exit 1
}
