#!/bin/sh
# Migrate Airflow's database to the installed version; create its first user and the pool of the DAGs. Idempotent.
set -eu
airflow db migrate
airflow users create --role Admin --username admin --password "$AIRFLOW_ADMIN_PASSWORD" \
    --firstname Closing --lastname Bell --email admin@localhost.localdomain
airflow pools set prices "${PRICE_SLOTS:-2}" 'tasks that request prices at the same time'
