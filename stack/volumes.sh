# Read by backup and restore: what of the stack cannot be made again, or not soon, and how to get at it.
# shellcheck shell=bash

PROJECT=$(docker compose config | sed -n 's/^name: //p')
# shellcheck disable=SC2034  # read by those two
KEPT=(secrets postgres minio lakehouse)
IMAGE=ecommerce-data-pipeline/secrets-init # has tar, and is the smallest
# The folder that secrets-init has as /own; its path may have blanks.
OWN_SECRETS=$(docker compose config | awk '
    $1 == "source:" {sub(/^ *source: /, ""); source = $0}
    $1 == "target:" && $2 == "/own" {gsub(/^"|"$/, "", source); print source; exit}')

volume() { echo "${PROJECT}_$1"; }

# in_volume VOLUME[:ro] COMMAND…: at /volume, as root, because the files belong to several users; without a network.
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
