"""`make run` in a home that was moved: what Airflow wrote about its folder follows."""

from dataclasses import replace

from local import moved
from local.place import Place

CONFIGURATION = """[core]
dags_folder = {airflow}/dags
fernet_key = abc=
[logging]
base_log_folder = {airflow}/logs
# {airflow}/logs is what it was
dag_processor_child_process_log_directory = {airflow}/logs/dag_processor
"""


def test_airflows_own_folder_follows_the_home_and_nothing_else_changes(place: Place) -> None:
    place.prepare()
    path = place.airflow_home / "airflow.cfg"
    path.write_text(CONFIGURATION.format(airflow="/old place/airflow"))
    path.chmod(0o600)
    for _ in range(2):
        moved.follow(place, print)
        expected = CONFIGURATION.format(airflow=place.airflow_home)
        assert path.read_text() == expected.replace(f"# {place.airflow_home}", "# /old place/airflow")
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_set_up_without_a_configuration_is_left_alone(place: Place) -> None:
    elsewhere = replace(place, home=place.home / "never made")
    moved.follow(elsewhere, print)
    assert not elsewhere.home.exists()
