# ruff: noqa: C901, PLC0415, PLR0911, S311, SIM108, T201 - a generator of data: seeded, and run by hand
# A table, or a concept, is a line.
# fmt: off
"""The half of the corpus that nobody tunes by: hand-written tables, values by mimesis (MIT), numbers by python-stdnum and phonenumbers.

    python -m venv V && V/bin/pip install mimesis==22.2.0 python-stdnum phonenumbers && V/bin/python make_held_out.py > held_out.jsonl

A table is a line: domain/language table | column maker, column maker ...; `maker!` says that the column is not personal here whatever it looks
like, `maker=category` that it is of another category than the maker's own. Nobody of these tables exists.
"""

from __future__ import annotations

import json
import random
import string
import sys

import phonenumbers
from mimesis import (
    Address,
    Code,
    Cryptographic,
    Datetime,
    Development,
    Finance,
    Food,
    Internet,
    Payment,
    Person,
    Text,
    Transport,
)
from mimesis.locales import Locale
from stdnum.util import get_cc_module

R = random.Random(20260)
LOCALES = {"en": "en", "de": "de", "fr": "fr", "es": "es", "it": "it", "pt": "pt-br", "nl": "nl", "pl": "pl", "sv": "sv", "tr": "tr", "ru": "ru", "ja": "ja", "cs": "cs"}
COUNTRY = {"en": "US", "de": "DE", "fr": "FR", "es": "ES", "it": "IT", "pt": "BR", "nl": "NL", "pl": "PL", "sv": "SE", "tr": "TR", "ru": "RU", "ja": "JP", "cs": "CZ"}
IDS = {"en": ("us", "ssn"), "de": ("de", "idnr"), "fr": ("fr", "nir"), "es": ("es", "dni"), "it": ("it", "codicefiscale"), "pt": ("br", "cpf"), "nl": ("nl", "bsn"), "pl": ("pl", "pesel"), "sv": ("se", "personnummer"), "tr": ("tr", "tckimlik"), "cs": ("cz", "rc")}
VAGUE = {"en": ("The customer called about the delivery of {p}, reach her at {m}.", "Spoke with {p} on Monday, wants a refund. Phone {t}.", "Left a voicemail.", "Asked to be called back at {t}.", "Invoice sent to {m}, {p} will pay next week."),
         "de": ("Frau {p} hat angerufen, bitte unter {t} zurückrufen.", "Rechnung an {m} geschickt.", "Kunde wünscht Rückruf.", "Termin mit {p} vereinbart."),
         "fr": ("M. {p} a appelé, le rappeler au {t}.", "Facture envoyée à {m}.", "Sans réponse.", "Rendez-vous avec {p} mardi."),
         "es": ("Llamó {p}, contactar en {t}.", "Factura enviada a {m}.", "Sin respuesta del cliente."),
         "nl": ("Mevrouw {p} belde, terugbellen op {t}.", "Factuur gestuurd naar {m}.", "Geen gehoor.")}
DULL = ("Deploy went fine after the second attempt.", "Replaced the filter and restarted the pump.", "Batch finished, no rows rejected.", "Out of stock until spring.", "Runs warm in summer, watch the fan.", "Two layers of paint, matte finish.")


def pick(*choices):
    return lambda _: R.choice(choices)


def digits(n):
    return "".join(R.choices("0123456789", k=n))


def national(lang):
    country, name = IDS.get(lang, ("us", "ssn"))
    module = get_cc_module(country, name)
    for _ in range(400_000):
        day = f"{R.randint(40, 99):02}{R.randint(1, 12):02}{R.randint(1, 28):02}"
        if name == "ssn":
            return f"{R.randint(101, 665)}-{R.randint(10, 99)}-{digits(4)}"
        if name == "codicefiscale":
            stem = "".join(R.choices("BCDFGLMNPRSTV", k=6)) + f"{R.randint(40, 99)}{R.choice('ABCDEHLMPRST')}{R.randint(1, 28):02}H{R.randint(100, 999)}"
            return stem + module.calc_check_digit(stem)
        if name == "dni":
            stem = digits(8)
            return stem + module.calc_check_digit(stem)
        if name == "nir":
            stem = R.choice("12") + day[:4] + f"{R.randint(1, 95):02}" + digits(6)
            return stem + f"{97 - int(stem) % 97:02}"
        if name == "pesel":
            stem = day + digits(4)
            return stem + module.calc_check_digit(stem)
        if name == "personnummer":
            stem = day + digits(3)
            from stdnum import luhn
            return f"19{day}-{stem[6:]}{luhn.calc_check_digit(stem)}"
        if name == "cpf":
            stem = digits(9)
            whole = stem + module._calc_check_digits(stem)
            return R.choice((whole, module.format(whole)))
        if name == "tckimlik":
            stem = str(R.randint(1, 9)) + digits(8)
            return stem + module.calc_check_digits(stem)
        if name == "rc":
            number = f"{day}{digits(4)}"
        else:
            number = digits(9 if name == "bsn" else 11)
        if module.is_valid(number):
            return number
    raise ValueError(name)


def phone(lang, form=None):
    country = COUNTRY[lang]
    example = phonenumbers.example_number_for_type(country, R.choice((0, 1)))
    for _ in range(100):
        text = str(example.national_number)
        number = phonenumbers.parse(text[:-5] + digits(5), country)
        if phonenumbers.is_valid_number(number):
            break
    return phonenumbers.format_number(number, form if form is not None else R.choice((1, 2)))


def iban(lang):
    country = COUNTRY[lang]
    spec = {"DE": 18, "FR": 23, "ES": 20, "IT": 23, "NL": 14, "PL": 24, "SE": 20, "TR": 22, "CZ": 20, "US": 18}.get(country, 18)
    country = country if country in ("DE", "FR", "ES", "IT", "NL", "PL", "SE", "TR", "CZ") else "GB"
    body = {"NL": "ABNA" + digits(10), "GB": "NWBK" + digits(14), "IT": "X" + digits(22)}.get(country, digits(spec))
    value = int("".join(str(int(c, 36)) for c in body + country + "00"))
    whole = f"{country}{98 - value % 97:02}{body}"
    return R.choice((whole, " ".join(whole[i:i + 4] for i in range(0, len(whole), 4))))


class World:
    """The makers of one language."""

    def __init__(self, lang):
        locale = Locale(LOCALES[lang])
        seed = R.randint(0, 10**9)
        self.lang = lang
        self.person, self.address = Person(locale, seed=seed), Address(locale, seed=seed)
        self.finance, self.text = Finance(locale, seed=seed), Text(locale, seed=seed)
        self.net, self.code, self.crypt = Internet(seed=seed), Code(seed=seed), Cryptographic(seed=seed)
        self.pay, self.when, self.dev = Payment(seed=seed), Datetime(locale, seed=seed), Development(seed=seed)
        self.food, self.cars = Food(locale, seed=seed), Transport(seed=seed)


def note(w):
    return R.choice(VAGUE.get(w.lang, VAGUE["en"])).format(p=w.person.full_name(), m=w.person.email(), t=phone(w.lang))


def contact_json(w):
    return json.dumps({"id": R.randint(1, 9999), "contact": {"mail": w.person.email(), "name": w.person.full_name()}, "tags": ["new"]})


def dull_json(_):
    return json.dumps({"retries": R.randint(0, 5), "ok": R.random() < .5, "zone": R.choice("abc")})


def stamp(low=2019, high=2025, sep=" "):
    return f"{R.randint(low, high)}-{R.randint(1, 12):02}-{R.randint(1, 28):02}{sep}{R.randint(0, 23):02}:{R.randint(0, 59):02}:{R.randint(0, 59):02}"


def day(low, high, form="{y}-{m:02}-{d:02}"):
    return form.format(y=R.randint(low, high), m=R.randint(1, 12), d=R.randint(1, 28))


def plate(_):
    return f"{''.join(R.choices(string.ascii_uppercase, k=R.randint(1, 3)))}-{''.join(R.choices(string.ascii_uppercase, k=2))} {R.randint(10, 9999)}"


def vin(_):
    return "".join(R.choices("ABCDEFGHJKLMNPRSTUVWXYZ0123456789", k=17))


M = {  # maker: (type, family, category, function)
    # personal
    "first": ("varchar(80)", "text", "name", lambda w: w.person.first_name()),
    "last": ("varchar(80)", "text", "name", lambda w: w.person.last_name()),
    "full": ("text", "text", "name", lambda w: w.person.full_name()),
    "full_rev": ("text", "text", "name", lambda w: w.person.full_name(reverse=True)),
    "initial": ("char(1)", "text", "name", lambda w: w.person.first_name()[0].upper()),
    "mail": ("varchar(255)", "text", "email", lambda w: w.person.email()),
    "tel": ("varchar(32)", "text", "phone", lambda w: phone(w.lang)),
    "tel_e164": ("varchar(20)", "text", "phone", lambda w: phone(w.lang, 0)),
    "tel_int": ("bigint", "integer", "phone", lambda w: phone(w.lang, 0)[1:]),
    "user": ("varchar(40)", "text", "username", lambda w: w.person.username(mask="l_d")),
    "street": ("text", "text", "address", lambda w: w.address.address()),
    "town": ("varchar(60)", "text", "city", lambda w: w.address.city()),
    "zip": ("varchar(12)", "text", "postcode", lambda w: w.address.postal_code()),
    "lat": ("double precision", "float", "location", lambda w: f"{R.uniform(36, 60):.6f}"),
    "lon": ("double precision", "float", "location", lambda w: f"{R.uniform(-9, 28):.6f}"),
    "latlon": ("text", "text", "location", lambda w: f"{R.uniform(36, 60):.6f},{R.uniform(-9, 28):.6f}"),
    "born": ("date", "date", "date-of-birth", lambda _: day(1938, 2006)),
    "born_text": ("varchar(10)", "text", "date-of-birth", lambda _: day(1938, 2006, "{d:02}.{m:02}.{y}")),
    "born_year": ("smallint", "integer", "date-of-birth", lambda _: str(R.randint(1938, 2006))),
    "age": ("smallint", "integer", "age", lambda _: str(R.randint(18, 91))),
    "sex": ("char(1)", "text", "gender", pick("F", "M")),
    "sexw": ("varchar(12)", "text", "gender", pick("female", "male", "other", "unknown")),
    "title": ("varchar(8)", "text", "gender", pick("Mr", "Mrs", "Ms", "Dr")),
    "wed": ("varchar(12)", "text", "marital-status", pick("single", "married", "divorced", "widowed")),
    "nation": ("varchar(40)", "text", "nationality", lambda w: w.person.nationality()),
    "id": ("varchar(20)", "text", "national-id", lambda w: national(w.lang)),
    "passport": ("varchar(12)", "text", "passport", lambda _: R.choice("CFGHKXY") + digits(8)),
    "licence": ("varchar(20)", "text", "driving-licence", lambda _: R.choice(string.ascii_uppercase) + digits(11)),
    "hin": ("varchar(12)", "text", "health-insurance-id", lambda _: R.choice(string.ascii_uppercase) + digits(9)),
    "mrn": ("varchar(12)", "text", "patient-id", lambda _: "MR" + digits(7)),
    "iban": ("varchar(34)", "text", "bank-account", lambda w: iban(w.lang)),
    "acct": ("varchar(16)", "text", "bank-account", lambda _: digits(10)),
    "bic": ("char(11)", "text", "bank-code", pick("DEUTDEFF500", "BNPAFRPPXXX", "NWBKGB2LXXX", "COBADEFFXXX", "INGBNL2AXXX")),
    "pan": ("varchar(19)", "text", "card-number", lambda w: w.pay.credit_card_number()),
    "cvv": ("char(3)", "text", "card-security-code", lambda _: digits(3)),
    "exp": ("char(5)", "text", "card-expiry", lambda w: w.pay.credit_card_expiration_date()),
    "pay": ("numeric(10,2)", "decimal", "income", lambda _: f"{R.randint(24, 180) * 500}.00"),
    "hash": ("varchar(72)", "text", "password", lambda _: "$2b$12$" + "".join(R.choices(string.ascii_letters + string.digits + "./", k=53))),
    "salt": ("varchar(32)", "text", "password", lambda _: "".join(R.choices("0123456789abcdef", k=32))),
    "token": ("varchar(64)", "text", "secret", lambda w: w.crypt.token_hex(32)),
    "jwt": ("text", "text", "secret", lambda _: "eyJhbGciOiJIUzI1NiJ9.eyJ" + "".join(R.choices(string.ascii_letters, k=40)) + "." + "".join(R.choices(string.ascii_letters, k=43))),
    "ip": ("inet", "other", "ip-address", lambda w: w.net.ip_v4()),
    "mac": ("varchar(17)", "text", "device-id", lambda w: w.net.mac_address()),
    "imei": ("varchar(15)", "text", "device-id", lambda w: w.code.imei()),
    "adid": ("uuid", "uuid", "device-id", lambda w: w.crypt.uuid()),
    "cookie": ("varchar(40)", "text", "online-id", lambda _: f"GA1.2.{digits(9)}.{digits(10)}"),
    "ua": ("text", "text", "user-agent", lambda w: w.net.user_agent()),
    "vin": ("char(17)", "text", "vehicle-id", vin),
    "plate": ("varchar(12)", "text", "vehicle-id", plate),
    "icd": ("varchar(8)", "text", "health", pick("E11.9", "I10", "J45.0", "F32.1", "M54.5", "K21.9", "C50.4", "N39.0", "Z00.0", "G43.1")),
    "illness": ("text", "text", "health", pick("type 2 diabetes", "hypertension", "asthma", "migraine", "lower back pain", "depression", "anaemia")),
    "drug": ("varchar(60)", "text", "health", pick("metformin 500 mg", "ramipril 5 mg", "salbutamol", "ibuprofen 400", "sertraline 50 mg")),
    "blood": ("varchar(3)", "text", "health", pick("A+", "A-", "B+", "0+", "0-", "AB+")),
    "allergy": ("text", "text", "health", pick("penicillin", "peanuts", "latex", "none known", "pollen")),
    "faith": ("varchar(20)", "text", "religion", pick("catholic", "muslim", "jewish", "none", "lutheran", "buddhist", "hindu")),
    "race": ("varchar(30)", "text", "ethnicity", pick("White", "Black", "Asian", "Hispanic", "Mixed", "Other")),
    "party": ("varchar(20)", "text", "political-opinion", pick("SPD", "CDU", "Greens", "FDP", "Left")),
    "union": ("boolean", "boolean", "union-membership", pick("true", "false")),
    "orient": ("varchar(16)", "text", "sexual-orientation", pick("heterosexual", "gay", "bisexual", "undisclosed")),
    "crime": ("text", "text", "criminal-record", pick("theft 2014", "none", "fraud", "assault", "drunk driving")),
    "finger": ("bytea", "binary", "biometric", lambda _: "\\x" + "".join(R.choices("0123456789abcdef", k=64))),
    "gene": ("varchar(30)", "text", "genetic", pick("BRCA1 c.68_69del", "APOE e4/e4", "rs1801133 TT", "CFTR F508del")),
    "pic": ("text", "text", "photo", lambda w: f"https://cdn.{w.net.hostname()}/u/{digits(6)}.jpg"),
    "sign": ("bytea", "binary", "signature", lambda _: "\\x89504e47" + "".join(R.choices("0123456789abcdef", k=60))),
    "social": ("varchar(120)", "text", "social-profile", lambda w: f"https://www.linkedin.com/in/{w.person.username(mask='l-l')}"),
    "handle": ("varchar(30)", "text", "social-profile", lambda w: "@" + w.person.username(mask="ld")),
    "note": ("text", "text", "free-text", note),
    "doc": ("jsonb", "json", "document", contact_json),
    "job": ("varchar(60)", "text", "employment", lambda w: w.person.occupation()),
    "rating": ("smallint", "integer", "employment", lambda _: str(R.randint(1, 5))),
    "grade": ("numeric(3,1)", "decimal", "education", lambda _: f"{R.randint(10, 50) / 10}"),
    "degree": ("varchar(40)", "text", "education", lambda w: w.person.academic_degree()),
    # not personal
    "int": ("integer", "integer", None, lambda _: str(R.randint(1, 99999))),
    "big": ("bigint", "integer", None, lambda _: str(R.randint(10**9, 10**10))),
    "small": ("smallint", "integer", None, lambda _: str(R.randint(0, 40))),
    "uuid": ("uuid", "uuid", None, lambda w: w.crypt.uuid()),
    "money": ("numeric(12,2)", "decimal", None, lambda _: f"{R.uniform(1, 900):.2f}"),
    "real": ("double precision", "float", None, lambda _: f"{R.gauss(20, 8):.3f}"),
    "pct": ("real", "float", None, lambda _: f"{R.random():.4f}"),
    "bool": ("boolean", "boolean", None, pick("true", "false")),
    "ts": ("timestamptz", "timestamptz", None, lambda _: stamp()),
    "date": ("date", "date", None, lambda _: day(2018, 2025)),
    "epoch": ("bigint", "integer", None, lambda _: str(R.randint(1_500_000_000, 1_760_000_000))),
    "epoch_ms": ("bigint", "integer", None, lambda _: str(R.randint(1_500_000_000_000, 1_760_000_000_000))),
    "cur": ("char(3)", "text", None, pick("EUR", "USD", "GBP", "PLN", "SEK")),
    "cc": ("char(2)", "text", None, pick("DE", "FR", "US", "IT", "NL", "ES")),
    "lang": ("char(2)", "text", None, pick("de", "en", "fr", "it", "es")),
    "state": ("varchar(12)", "text", None, pick("open", "closed", "pending", "done")),
    "kind": ("varchar(12)", "text", None, pick("A", "B", "C", "standard", "premium")),
    "code": ("varchar(10)", "text", None, lambda _: "".join(R.choices(string.ascii_uppercase, k=3)) + "-" + digits(4)),
    "order": ("varchar(14)", "text", None, lambda _: f"ORD-{digits(8)}"),
    "inv": ("varchar(14)", "text", None, lambda _: f"{R.randint(2019, 2025)}-{digits(6)}"),
    "track": ("varchar(20)", "text", None, lambda _: "1Z" + "".join(R.choices(string.ascii_uppercase + string.digits, k=16))),
    "isbn": ("varchar(17)", "text", None, lambda w: w.code.isbn()),
    "ean": ("varchar(13)", "text", None, lambda w: w.code.ean()),
    "sku": ("varchar(12)", "text", None, lambda _: f"{R.choice(('TS', 'PX', 'HL'))}{digits(5)}-{R.choice(('S', 'M', 'L'))}"),
    "sha": ("char(64)", "text", None, lambda w: w.crypt.hash()),
    "ver": ("varchar(12)", "text", None, lambda w: w.dev.version()),
    "url": ("text", "text", None, lambda w: f"https://{w.net.hostname()}/p/{digits(5)}"),
    "host": ("varchar(60)", "text", None, lambda w: w.net.hostname()),
    "srvip": ("inet", "other", None, lambda _: f"10.{R.randint(0, 9)}.{R.randint(0, 255)}.{R.randint(1, 254)}"),
    "company": ("varchar(80)", "text", None, lambda w: w.finance.company()),
    "bank": ("varchar(80)", "text", None, lambda w: w.finance.bank()),
    "dish": ("varchar(80)", "text", None, lambda w: w.food.dish()),
    "car": ("varchar(80)", "text", None, lambda w: w.cars.car()),
    "plane": ("varchar(80)", "text", None, lambda w: w.cars.airplane()),
    "tail": ("varchar(7)", "text", None, lambda _: "N" + digits(3) + "".join(R.choices("ABCDEFGH", k=2))),
    "word": ("varchar(40)", "text", None, lambda w: w.text.word()),
    "dull": ("text", "text", None, lambda _: R.choice(DULL)),
    "dulljson": ("jsonb", "json", None, dull_json),
    "country": ("varchar(60)", "text", None, lambda w: w.address.country()),
    "iata": ("char(3)", "text", None, pick("JFK", "LGA", "EWR", "FRA", "CDG", "AMS")),
    "hex": ("varchar(24)", "text", None, lambda _: "".join(R.choices("0123456789abcdef", k=24))),
    "vat": ("varchar(14)", "text", None, lambda _: "DE" + digits(9)),
    "mime": ("varchar(40)", "text", None, pick("image/png", "text/html", "application/pdf")),
    "color": ("varchar(12)", "text", None, pick("red", "blue", "green", "black")),
    "method": ("varchar(8)", "text", None, pick("GET", "POST", "PUT")),
    "path": ("text", "text", None, pick("/", "/cart", "/search", "/img/a.png", "/api/v2/items")),
}

TABLES = """
crm/en leads | lead_no int, contact_person full, work_email mail, direct_dial tel, organisation company, stage state, expected_revenue money, next_call_on date, remarks note
crm/en account_contacts | ac_id int, given first, family last, salutation title, emailaddr mail, cellphone tel, fax_no tel, job_title job, linkedin social, opted_in bool, modified ts
crm/de ansprechpartner | lfd_nr int, anrede title, vorname first, nachname last, firma company, mailadresse mail, durchwahl tel, mobilnr tel, angelegt_am ts, bemerkung note
crm/fr interlocuteurs | num int, civilite title, prenom first, nom_famille last, societe company, courriel mail, tel_portable tel, date_creation ts, commentaire note
crm/es contactos | id_contacto int, nombre_pila first, apellidos last, empresa company, correo mail, movil tel, creado ts, observaciones note
hr/en staff_master | staff_no int, forename first, surname last, maiden_name last, birth_dt born, gndr sex, natl_insurance_no id=national-id, home_addr street, home_town town, home_zip zip, annual_pay pay, grade_code kind, start_date date, cost_centre code, emergency_contact full, emergency_phone tel
hr/en payslips | slip uuid, staff_no int, period inv, gross pay, net pay, tax_withheld pay, iban_no iban, paid_on date
hr/en appraisals | appraisal_id int, staff_no int, reviewer full, score rating, review_comments note, held_on date
hr/de personalstamm | persnr int, vorname first, zuname last, geburtsname last, gebdat born, geschlecht sex, familienstand wed, konfession faith, staatsang nation, steuer_idnr id=tax-id, krankenkasse kind!, strasse street, plz zip, ort town, kontonummer acct, bruttogehalt pay, eintritt date, kostenstelle code, schwerbehindert bool=health
hr/fr salaries | matricule int, nom last, prenom first, date_naissance born, lieu_naissance town=birth-place, nationalite nation, num_secu id, adresse street, code_postal zip, ville town, salaire_brut pay, rib iban, embauche date, service kind
hr/es empleados | id_empleado int, nombre first, apellido1 last, apellido2 last, dni id, fecha_nacimiento born, estado_civil wed, domicilio street, poblacion town, cod_postal zip, sueldo pay, departamento kind, fecha_alta date
hr/it dipendenti | matricola int, nome first, cognome last, codice_fiscale id=tax-id, data_nascita born, comune_nascita town=birth-place, sesso sex, indirizzo street, cap zip, stipendio pay, data_assunzione date, reparto kind
hr/nl medewerkers | mw_nr int, voornaam first, achternaam last, geboortedatum born, bsn id, woonadres street, woonplaats town, pc zip, salaris pay, in_dienst date, afdeling kind
hr/pl pracownicy | id_prac int, imie first, nazwisko last, pesel id, data_urodzenia born, ulica street, miejscowosc town, kod_pocztowy zip, wynagrodzenie pay, stanowisko job, zatrudniony date
hr/sv anstallda | anst_nr int, fornamn first, efternamn last, personnummer id, fodelsedatum born, gatuadress street, postnr zip, postort town, manadslon pay, anstalld_fran date, avdelning kind
hr/tr personel | sicil_no int, ad first, soyad last, tc_kimlik_no id, dogum_tarihi born, cinsiyet sex, medeni_hal wed, adres street, il town!, maas pay, ise_giris date, departman kind
hr/pt funcionarios | matricula int, nome_completo full, cpf id=tax-id, dt_nascimento born, sexo sex, endereco street, cidade town, cep zip, salario pay, dt_admissao date, setor kind
hr/en union_dues | member_id int, staff_no int, union_member union, union_name kind=union-membership, monthly_due money!, since date
hr/en diversity_survey | response uuid, ethnic_group race, religion faith, orientation orient, disability bool=health, gender_identity sexw, submitted ts
hr/en background_checks | chk int, applicant full, convictions crime, credit_score int=income, checked_on date, agency company
hr/en applicants | app_no int, candidate full, candidate_email mail, phone_home tel, cv_text note, desired_salary pay, source kind, applied ts
shop/en shoppers | shopper uuid, fname first, lname last, email_address mail, pwd_hash hash, phone tel, dob born, loyalty_points int, signup_ip ip, last_seen ts, newsletter bool
shop/en baskets | basket uuid, shopper uuid, item_count small, subtotal money, currency cur, created ts, abandoned bool
shop/en merchandise | item_no int, name dish, brand company, sku sku, barcode ean, price money, weight_kg real, colour color, in_stock small, description dull, supplier_city town!
shop/en shipments | ship_no int, consignee full, deliver_to street, deliver_city town, deliver_zip zip, carrier kind, tracking_no track, shipped ts, weight real
shop/en billing_profiles | bp uuid, cardholder full, card_no pan, valid_thru exp, cvc cvv, bill_street street, bill_post_code zip, created ts
shop/en product_reviews | review int, sku sku, stars small, headline dull, reviewer_name full, reviewer_ip ip, posted ts
shop/en warehouses | wh_code code, name company, street street!, city town!, zip zip!, lat lat!, lng lon!, capacity int
shop/en suppliers | supplier int, company_name company, contact_name full, contact_phone tel, vat_number vat, website url, payment_terms kind
shop/de kunden | kdnr int, name full, ihre_email mail, tel_privat tel, strasse_hausnr street, plz zip, wohnort town, geburtstag born, kundengruppe kind, rabatt pct
shop/de artikel | artnr int, bezeichnung dish, ean_code ean, preis_netto money, bestand small, lagerort code, gewicht real, angelegt ts
shop/de bestellungen | best_nr order, kdnr int, betrag money, waehrung cur, lieferstrasse street, lieferplz zip, lieferort town, status state, bestelldatum ts
shop/fr commandes | no_commande order, id_client int, montant_ttc money, devise cur, adresse_livraison street, cp_livraison zip, ville_livraison town, statut state, passee_le ts
shop/fr produits | reference sku, libelle dish, prix_ht money, stock small, code_barres ean, poids real, couleur color
shop/it clienti | id_cliente int, ragione_sociale company, nome first, cognome last, posta_elettronica mail, telefono tel, via street, citta town, p_iva vat, iscritto_il ts
shop/pl klienci | klient_id int, imie_nazwisko full, adres_email mail, nr_telefonu tel, ulica_nr street, miasto town, kod zip, utworzono ts
shop/nl klanten | klantnr int, voorletters initial, tussenvoegsel kind!, achternaam last, mailadres mail, telefoonnr tel, straat street, plaats town, postcode zip, korting pct
shop/es clientes | cod_cliente int, nombre_completo full, email mail, telefono_movil tel, calle street, ciudad town, codigo_postal zip, limite_credito money!, alta ts
shop/pt clientes_loja | codigo int, nome full, email mail, celular tel, rua street, bairro town=address, cidade town, cep zip, cadastro ts
shop/tr musteriler | musteri_no int, isim first, soyisim last, eposta mail, cep_telefonu tel, sehir town, posta_kodu zip, kayit_tarihi ts
shop/sv kunder | kundnr int, namn full, epost mail, mobilnummer tel, gata street, postnummer zip, ort town, skapad ts
shop/ru pokupateli | id int, imya first, familiya last, otchestvo first, telefon tel, pochta mail, adres street, gorod town, data_rozhdeniya born, sozdan ts
shop/ja kokyaku | kokyaku_id int, sei last, mei first, mail_address mail, denwa tel, jusho street, yubin_bango zip, toroku ts
bank/en account_holders | cif int, holder_name full, ssn id, birthdate born, mothers_maiden_name last, residential_address street, mobile_no tel, annual_income pay, kyc_passport passport, risk_band kind, opened date
bank/en ledger_accounts | acct_no acct, iban iban, bic bic, balance money=income, currency cur, branch code, opened date
bank/en transfers | txn uuid, from_iban iban, to_iban iban, beneficiary full, amount money, ccy cur, purpose note, booked ts
bank/en fx_rates | pair code, rate real, bid real, ask real, quoted_at ts, provider company
bank/en cards_issued | card_ref uuid, pan pan, emboss_name full, expiry_date exp, pin_hash hash=card-security-code, daily_limit money, status state
bank/en gl_entries | je int, gl_code code, debit money, credit money, period inv, posted ts, narrative dull
bank/de konten | kontonr acct, inhaber full, iban iban, bankleitzahl code!, saldo money=income, eroeffnet date
bank/en branches | branch_code code, branch_name company, street street!, city town!, postcode zip!, phone tel!, opened date
clinic/en patients | mrn mrn, pt_first first, pt_last last, dob born, sex_at_birth sex, race race, insurance_member_id hin, primary_phone tel, home_street street, home_city town, home_zip zip, next_of_kin full, deceased_on born=date-of-death, pcp_npi big!
clinic/en encounters | enc int, mrn mrn, dx_code icd, dx_text illness, admit ts=health, discharge ts=health, ward code, clinician_notes note
clinic/en prescriptions | rx int, mrn mrn, medication drug, dose real=health, prescribed_by full, refills small=health, written date=health
clinic/en lab_results | lab int, mrn mrn, test_code code=health, result_value real=health, units kind!, blood_group blood, collected ts=health
clinic/en genomics | sample code, variant gene, fingerprint_template finger, consented bool
clinic/de patienten | pat_nr mrn, nachname last, vorname first, geb_dat born, versichertennr hin, diagnose illness, icd10 icd, allergien allergy, hausarzt full, telefon tel
clinic/fr dossiers_patients | ipp mrn, nom last, prenom first, ddn born, nir id, groupe_sanguin blood, antecedents illness, medecin_traitant full
clinic/en devices | device_serial code, model car!, firmware ver, location_room code, calibrated date
school/en pupils | pupil_no int, pupil_name full, birthday born, guardian full, guardian_mobile tel, sen_status bool=health, free_meals bool!, form_class code, address_line1 street, town town
school/en exam_marks | mark_id int, pupil_no int, subject word, mark grade, sat_on date, examiner full
school/en courses | course_code code, title dish, credits small, room code, term inv
school/de schueler | snr int, rufname first, familienname last, geb born, klasse code, erziehungsberechtigter full, notfallnummer tel, religionszugehoerigkeit faith
school/es alumnos | expediente int, nombre first, primer_apellido last, nif id, nota_media grade, titulacion degree, correo_e mail
telecom/en subscribers | msisdn tel_int, imsi imei=device-id, imei imei, subscriber full, tariff kind, activated date, home_cell code!
telecom/en cdr | cdr uuid, calling_no tel_e164, called_no tel_e164, duration_s small, cell code!, started ts
telecom/en towers | site code, latitude lat!, longitude lon!, height_m real, commissioned date
logistics/en consignments | awb big, shipper company, receiver full, receiver_tel tel, pieces small, weight real, origin iata, destination iata, hs_code code
logistics/en vehicles | fleet_no code, vin vin, reg_plate plate, make car, year small, mileage int
logistics/en drivers | driver int, full_name full, licence_no licence, licence_expiry date!, mobile tel, depot code
logistics/en gps_pings | ping uuid, driver int, at ts, lat lat, lon lon, speed real
logistics/en airports | code iata, name company, city town!, lat lat!, lon lon!, elevation int, tz kind
logistics/en aircraft | tail tail, model plane, seats small, built small, operator company
logistics/en flights_flown | tail tail, origin iata, dest iata, dep_delay small, arr_delay small, carrier code, day date
iot/en readings | sensor hex, ts epoch_ms, temperature real, humidity pct, battery pct, fw ver
iot/en gateways | gw code, mac mac!, ip_addr srvip, firmware ver, installed date, site_lat lat!, site_lon lon!
iot/en smart_meters | meter big, premise_address street, occupant full, kwh real, read_at ts
iot/en wearables | wearer uuid, heart_rate small=health, steps int=health, sleep_min int=health, device_mac mac, recorded ts
web/en access_log | id big, ts ts, client_ip ip, method method, path path, status small, bytes int, referer url, ua_string ua, session_id cookie
web/en page_views | view uuid, visitor_cookie cookie, url url, country cc, device kind, viewed ts
web/en server_metrics | host host, server_ip srvip, cpu pct, mem pct, load real, sampled ts
web/en ad_clicks | click uuid, gaid adid, campaign code, cost money, clicked_at epoch
web/en build_artifacts | artifact uuid, sha256 sha, version ver, size int, content_type mime, published ts, repository url
web/en feature_flags | key word, enabled bool, rollout pct, payload dulljson, updated ts
saas/en app_users | uid uuid, login user, mail mail, display_name full, avatar_url pic, bio note, tz kind, locale lang, password_digest hash, mfa_secret token, last_login_ip ip, joined ts
saas/en oauth_clients | client uuid, app_name company, redirect url, client_secret token, created ts
saas/en api_sessions | sess uuid, user_ref uuid, access_token jwt, refresh_token token, ip ip, browser ua, expires ts
saas/en audit_trail | ev big, actor_email mail, action word, object_id uuid, source_ip ip, before_after doc, at ts
saas/en tenants | tenant uuid, name company, plan kind, seats small, region code, created ts
saas/en tickets | ticket int, requester_email mail, subject dull, body note, priority kind, status state, opened ts
saas/en webhooks_out | hook uuid, event word, payload_json doc, attempts small, delivered ts
saas/en job_queue | job uuid, queue word, args dulljson, attempts small, run_at ts, last_error dull
saas/en social_links | uid uuid, twitter handle, linkedin_url social, website url!, added ts
gov/en citizens | reg_no int, citizen_name full, father_name full, place_of_birth town=birth-place, date_of_death born=date-of-death, nationality nation, voter_party party, residence street, thumbprint finger, signature_img sign
gov/en land_parcels | parcel code, area_m2 real, land_use kind, owner_name full, assessed_value money, cadastre_ref hex
gov/en permits | permit inv, applicant_name full, applicant_phone tel, site_address street, fee money, granted date
gov/de einwohner | ewo_id int, familienname last, vornamen first, geburtsort town=birth-place, anschrift street, ausweisnr passport, religion faith, zuzug date
gov/pt eleitores | titulo big=national-id, eleitor full, zona small!, secao small!, nascimento born
gov/pl mieszkancy | nr int, imiona first, nazwisko_rodowe last, nr_pesel id, dowod_osobisty passport, adres_zameldowania street
gov/cs obcane | cislo int, jmeno first, prijmeni last, rodne_cislo id, bydliste street, psc zip, datum_narozeni born
gov/en budget_lines | line code, fund word, amount money, fiscal_year inv, approved bool
gov/en inmates | inmate int, legal_name full, offence crime, sentence_months small=criminal-record, admitted date!
games/en players | player uuid, gamertag user, email mail, birth_year born_year, elo int, coins int, banned bool, last_ip ip
games/en matches | match uuid, map word, duration small, winner_team kind, played ts
games/en chat_messages | msg big, player uuid, body note, sent ts
games/en items | item int, name dish, rarity kind, power small, price money
insurance/en policyholders | policy_no code, insured_name full, insured_dob born, smoker bool=health, height_cm small=health, weight_kg real=health, beneficiary full, premium money, plate_no plate, inception date
insurance/en claims | claim inv, policy_no code, claimant full, claimant_phone tel, injury illness, statement note, paid money, lodged date
insurance/de vertraege | vertragsnr code, vn_name full, vn_geb born, beruf job, kennzeichen plate, fahrgestellnr vin, beitrag money, beginn date
insurance/fr assures | num_contrat code, assure full, date_de_naissance born, profession job, immatriculation plate, cotisation money
insurance/en actuarial | table_id code, age_band kind, qx pct, lx int, year small
travel/en passengers | pnr code, pax_name full, passport_no passport, nationality nation, seat code, meal kind!, frequent_flyer big=username, dob born
travel/en hotels | hotel int, name company, stars small, street street!, city town!, phone tel!, rate money
travel/en reservations | res inv, guest full, guest_email mail, arrival date, nights small, card_last4 small!, total money
travel/es huespedes | id int, huesped full, num_pasaporte passport, telefono tel, fecha_nac born, habitacion code
media/en books | isbn isbn, title dish, author full!, publisher company, pages int, published small
media/en films | film int, title dish, director full!, release_year small, rating kind, length small
media/en subscribers_list | sub int, addr mail, confirmed bool, unsub_token token, list word
legacy/en tbl_cst | cst_id int, c_fnm first, c_lnm last, c_tel1 tel, c_eml mail, c_adr street, c_zip zip, c_bdt born, c_typ kind
legacy/en data_import | col1 full, col2 mail, col3 tel, col4 street, col5 money, col6 uuid, col7 date, col8 born, col9 code
legacy/de imp_2019 | f01 int, f02 iban, f03 full, f04 pan, f05 ts, f06 ean, f07 mail, f08 order
legacy/fr export_csv | a full, b tel, c id, d zip, e money, f ts
legacy/es hoja1 | columna1 id, columna2 first, columna3 last, columna4 money, columna5 sku, columna6 ip
legacy/en events_raw | payload doc, meta dulljson, ts epoch, k hex, msg dull
legacy/en phonebook | n full, p tel_e164, a latlon, x int
""".strip()


def column(world, spec, n=24):
    name, maker = spec.split()
    maker, _, other = maker.partition("=")
    no = maker.endswith("!")
    type_, family, category, make = M[maker.rstrip("!")]
    values = list(dict.fromkeys(str(make(world)) for _ in range(n)))
    return {"name": name, "type": type_, "family": family, "category": other or (None if no else category), "values": values}


def main():
    worlds = {lang: World(lang) for lang in LOCALES}
    for line in TABLES.splitlines():
        head, _, rest = line.partition(" | ")
        where, table = head.split()
        domain, lang = where.split("/")
        columns = [column(worlds[lang], spec.strip()) for spec in rest.split(",")]
        print(json.dumps({"table": table, "domain": domain, "language": lang, "columns": columns}, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
