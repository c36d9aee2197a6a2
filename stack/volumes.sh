# Read by backup and restore: which volumes hold what cannot be made again, or not soon; and how to get at them.
# shellcheck shell=bash

PROJECT=$(docker compose config | sed -n 's/^name: //p')
KEPT=(secrets postgres minio lakehouse)
IMAGE=ecommerce-data-pipeline/secrets-init  # small, and here anyway

volume() { echo "${PROJECT}_$1"; }

# with_mounts MOUNT MOUNT COMMAND…: as root, whose files they are not all, and without a network.
with_mounts() {
    docker run --rm --network none --user 0:0 --volume "$1" --volume "$2" --entrypoint "$3" "$IMAGE" "${@:4}"
}

complain() {
    echo "$*" >&2
    exit 1
}
