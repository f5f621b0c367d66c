#!/bin/sh
# Known vulnerabilities in the images of docker-compose.yml that are built here: `docker/scan.sh [IMAGE…]`.
#
# First Debian packages with a newer version, security fixes included; then trivy, if it is installed. Status 1 if there
# are findings: rebuild from a newer base image.
set -eu
[ $# -gt 0 ] || set -- closing-bell-airflow closing-bell-mlflow
found=0
for image in "$@"; do
    waiting=$(docker run --rm --user 0 --entrypoint sh "$image" -ec \
        'apt-get update -qq -o APT::Update::Error-Mode=any; apt-get --just-print -qq upgrade | sed -n "/^Inst/p"')
    if [ -n "$waiting" ]; then
        printf '%s: newer in Debian:\n%s\n' "$image" "$waiting"
        found=1
    else
        echo "$image: nothing newer in Debian"
    fi
    docker run --rm --entrypoint pip "$image" check
    if command -v trivy > /dev/null; then
        trivy image --quiet --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 "$image" || found=1
    fi
done
exit "$found"
