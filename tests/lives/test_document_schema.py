"""Documents say what the schema is when they are written, are quiet while it stays so, and go back to what they were."""

import re
import shutil
import subprocess

import psycopg
import pytest

from datareeve.capabilities.databases import document
from datareeve.capabilities.databases.operations.document_schema import DocumentSchema
from datareeve.core.errors import BadInput
from datareeve.systems.documenter import Documenter, lasting
from schema_life import carry_out, holds, plan_of, undo

OPERATION = DocumentSchema(system="app")
MARKDOWN, PAGE = "data/app-schema.md", "data/app-schema.html"


@pytest.fixture
def app(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE airlines (code text PRIMARY KEY, name text DEFAULT 'a|b')")
        connection.execute(
            "CREATE TABLE flights (id bigint GENERATED ALWAYS AS IDENTITY, carrier text REFERENCES airlines)"
        )
        connection.execute("COMMENT ON TABLE flights IS 'Departures <b>from</b> New York'")
        connection.execute("CREATE INDEX flights_carrier_idx ON flights (carrier)")
        connection.execute("CREATE VIEW busy AS SELECT carrier, count(*) AS n FROM flights GROUP BY carrier")
        yield connection


@pytest.fixture
def systems(systems):
    systems.add(Documenter(systems, systems["files"], document.render))
    return systems


def test_documents_live_and_leave_no_trace(app, systems, tmp_path):
    plan = plan_of(OPERATION, systems)
    carry_out(plan, systems)
    assert plan_of(OPERATION, systems).nothing_to_do == f"{MARKDOWN} and {PAGE} describe the schema as it is."
    undo(plan, systems, times=2)
    assert not (tmp_path / "data").exists()


def test_the_schema_is_described_as_it_is_when_the_document_is_written_not_when_it_was_planned(
    app, systems, tmp_path
):
    plan = plan_of(OPERATION, systems)
    app.execute("CREATE TABLE planes (tailnum text PRIMARY KEY)")
    carry_out(plan, systems)
    assert "## planes" in (tmp_path / MARKDOWN).read_text()


def test_a_changed_schema_makes_them_out_of_date_and_undo_gives_the_old_ones_back(app, systems, tmp_path):
    carry_out(plan_of(OPERATION, systems), systems)
    old = (tmp_path / MARKDOWN).read_bytes()
    app.execute("ALTER TABLE flights ADD COLUMN dest text")
    plan = plan_of(OPERATION, systems)
    assert not holds(plan.checks[0], systems)
    carry_out(plan, systems)
    undo(plan, systems)
    assert (tmp_path / MARKDOWN).read_bytes() == old


def test_rows_and_statistics_do_not_make_them_out_of_date_and_a_hand_on_the_file_does(app, systems, tmp_path):
    carry_out(plan_of(OPERATION, systems), systems)
    app.execute("INSERT INTO airlines SELECT n FROM generate_series(1, 5000) AS n")
    app.execute("ANALYZE")
    assert plan_of(OPERATION, systems).nothing_to_do
    with (tmp_path / MARKDOWN).open("a") as file:
        file.write("\nby hand")
    assert [step.paths for step in plan_of(OPERATION, systems).steps] == [(MARKDOWN,)]


def test_markdown_holds_tables_columns_keys_relations_and_a_mermaid_diagram(app, systems):
    app.execute("ANALYZE")
    text = document.render(systems, "app")[MARKDOWN]
    assert "2 tables, 4 columns, 1 foreign keys." in text
    assert "| [airlines](#airlines) | table | ≈0 | ≈16 kB | code |" in text
    assert '    airlines ||--o{ flights : "carrier"' in text
    assert "    flights {\n        bigint id\n        text carrier FK\n    }\n" in text
    assert "| name | text | yes | 'a\\|b'::text |  |" in text
    assert "| id | bigint | no | identity |  |" in text
    assert "- `flights_carrier_fkey`: FOREIGN KEY (carrier) REFERENCES airlines(code)" in text
    assert (
        "- `flights_carrier_idx`: CREATE INDEX flights_carrier_idx ON public.flights USING btree (carrier)"
        in text
    )
    assert "Referred to by:\n\n- flights (carrier)\n" in text
    assert "## busy" in text


def test_the_page_asks_nothing_of_the_network_and_escapes_what_owners_wrote(app, systems):
    page = document.render(systems, "app")[PAGE]
    assert "Departures &lt;b&gt;from&lt;/b&gt; New York" in page
    assert set(re.findall(r"https?://[^\"' <]+", page)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_the_page_draws_boxes_and_lines_in_a_browser(app, systems, tmp_path):
    carry_out(plan_of(OPERATION, systems), systems)
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-sync",
    ]
    page = (tmp_path / PAGE).as_uri()
    command = ["chromium", *flags, f"--user-data-dir={tmp_path / 'browser'}", "--dump-dom", page]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert re.findall(r'class="box" data-table="([^"]+)"', dom) == ["public.airlines", "public.flights"]
    assert dom.count('class="edge optional"') == 1
    assert 'data-theme="light"' in dom  # set by the script, so the script ran


def test_estimates_are_left_out_of_the_comparison_and_nothing_else():
    assert lasting("≈340,000 rows · ≈45 MB, ≈? rows, 12 tables") == "≈ rows · ≈, ≈ rows, 12 tables"


def test_only_a_systems_own_documents_are_written(app, systems):
    with pytest.raises(BadInput, match="is not a document of app"):
        systems["documenter"].perform("write_schema_document", run="r1", system="app", path="data/other.md")
