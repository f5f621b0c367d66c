#!/usr/bin/env bash
# Back up all data of the services of docker-compose.yml to a new folder: `docker/backup.sh [FOLDER]`.
#
# The services keep running. Databases are copied first and files after them, so that every file that a database names
# is included. Secrets are in .env only (passwords, the key of Airflow's connections): back it up as well.
set -euo pipefail
cd "$(dirname "$0")/.."
into=${1:-backups/$(date -u +%Y-%m-%dT%H%M%SZ)}

compose() { docker compose ${COMPOSE_PROJECT:+--project-name "$COMPOSE_PROJECT"} ${COMPOSE_ENV:+--env-file "$COMPOSE_ENV"} "$@"; }

mkdir -p "$(dirname "$into")"
mkdir -m 700 "$into.aside"
trap 'rm -rf "$into.aside"' EXIT
for database in airflow mlflow mlflow_users pipeline; do
    compose exec -T postgres pg_dump --username postgres --format custom "$database" > "$into.aside/$database.dump"
done
compose exec -T mlflow tar -C /var/lib/mlflow -c . > "$into.aside/artifacts.tar"
compose exec -T worker tar -C /var/lib/closing-bell -c . > "$into.aside/state.tar"
compose exec -T worker tar -C /var/log/closing-bell -c . > "$into.aside/logs.tar"
(cd "$into.aside" && sha256sum ./*.dump ./*.tar > SHA256SUMS)
mv "$into.aside" "$into"
echo "$into: $(du -sh "$into" | cut -f 1); back up .env as well"
