#!/bin/bash
# Create the databases of Airflow, MLflow, MLflow's users and the pipeline, each with a user without access to the others.
# Run once, by the image, on an empty volume. Passwords come from the environment and are not process arguments.
set -euo pipefail

make_database() { # make_database NAME OWNER PASSWORD
    psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "${POSTGRES_USER:-postgres}" --dbname postgres <<SQL
SELECT 'CREATE ROLE "$2" LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '$2') \gexec
ALTER ROLE "$2" PASSWORD '$3';
CREATE DATABASE "$1" OWNER "$2";
REVOKE ALL ON DATABASE "$1" FROM PUBLIC;
SQL
}

make_database airflow airflow "$AIRFLOW_DB_PASSWORD"
make_database mlflow mlflow "$MLFLOW_DB_PASSWORD"
make_database mlflow_users mlflow "$MLFLOW_DB_PASSWORD"
make_database pipeline pipeline "$PIPELINE_DB_PASSWORD"
