#!/usr/bin/env bash
# Restore a backup of `docker/backup.sh` into volumes that do not exist yet: `docker/restore.sh FOLDER`.
#
# The .env of the backup must be in place: the databases have its passwords. Start the stack afterwards.
set -euo pipefail
from=$(cd "${1:?name the folder of a backup}" && pwd)
cd "$(dirname "$0")/.."

compose() { docker compose ${COMPOSE_PROJECT:+--project-name "$COMPOSE_PROJECT"} ${COMPOSE_ENV:+--env-file "$COMPOSE_ENV"} "$@"; }

(cd "$from" && sha256sum --check --quiet SHA256SUMS)
project=$(compose config --format json | python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])')
if [ -n "$(docker volume ls --quiet --filter "label=com.docker.compose.project=$project")" ]; then
    echo "error: volumes of $project exist already; \`docker compose down --volumes\` would delete them permanently" >&2
    exit 1
fi
compose up --detach --wait postgres
for database in airflow mlflow mlflow_users pipeline; do
    owner=${database%_users}
    compose exec -T postgres pg_restore --username postgres --dbname "$database" --no-owner --role "$owner" \
        --exit-on-error --single-transaction < "$from/$database.dump"
done
unpack() { compose run --rm --no-deps -T "$1" tar -C "$2" -x < "$from/$3"; }
unpack mlflow /var/lib/mlflow artifacts.tar
unpack worker /var/lib/closing-bell state.tar
unpack worker /var/log/closing-bell logs.tar
echo "restored from $from; now: make up"
