#!/usr/bin/env bash
# Copy everything that the services of docker-compose.yml keep into a new folder: `docker/backup.sh [FOLDER]`.
#
# The services go on working. Databases come first and files after them, so that whatever a database names is among
# the files. Secrets stay in .env: keep that too, the passwords and the key of Airflow's connections are nowhere else.
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
echo "$into: $(du -sh "$into" | cut -f 1), to be kept with .env"
