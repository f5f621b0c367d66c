#!/bin/sh
# Bring Airflow's database to the installed version, and make its first user and what the DAGs rely on. Twice is once.
set -eu
airflow db migrate
airflow users create --role Admin --username admin --password "$AIRFLOW_ADMIN_PASSWORD" \
    --firstname Closing --lastname Bell --email admin@localhost.localdomain
airflow pools set prices "${PRICE_SLOTS:-2}" 'tasks that ask the source for prices at once'
