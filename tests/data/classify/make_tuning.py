# ruff: noqa: DTZ001, S311, T201 - a generator of data: seeded, and run by hand
# A table, or a concept, is a line.
# fmt: off
"""The half of the corpus that the classifier is tuned by: tables composed of concepts in ten languages, values by Faker (MIT).

    python -m venv V && V/bin/pip install faker python-stdnum && PYTHONHASHSEED=0 V/bin/python make_tuning.py > tuning.jsonl

A concept has names in each language, a maker of values and a category; a template is a table of a domain as concepts. Each template is made in
several languages, in a style of naming of its own (snake, camel, capitals, prefixed, shortened). A concept written `-x` is not personal in
that table (the city of a warehouse).
"""

from __future__ import annotations

import json
import random
import re
import sys
from datetime import date, datetime

from faker import Faker

R = random.Random(4711)
LOCALES = {"en": "en_US", "de": "de_DE", "fr": "fr_FR", "es": "es_ES", "it": "it_IT", "pt": "pt_BR", "nl": "nl_NL", "pl": "pl_PL", "sv": "sv_SE", "tr": "tr_TR"}
MORE = {"ru": "ru_RU", "ja": "ja_JP", "zh": "zh_CN", "hi": "hi_IN", "ko": "ko_KR", "ar": "ar_SA", "da": "da_DK", "fi": "fi_FI", "cs": "cs_CZ", "hu": "hu_HU", "el": "el_GR", "uk": "uk_UA", "in": "en_IN", "gb": "en_GB"}  # of tables as they are met
FAKERS = {lang: Faker(locale) for lang, locale in (LOCALES | MORE).items()}
US = FAKERS["en"]
Faker.seed(99)
LANGS = tuple(LOCALES)


def pick(*choices):
    return lambda _: R.choice(choices)


def num(low, high):
    return lambda _: str(R.randint(low, high))


def hexa(n):
    return lambda _: "".join(R.choices("0123456789abcdef", k=n))


def note(f):
    return R.choice((f"{f.name()} - {f.email()}", f"call {f.name()} at {f.phone_number()}", f.sentence(), f.sentence()))


def names(**by):
    return {lang: text.split() for lang, text in by.items()}


V, T = "varchar(100)", "text"
C = {  # concept: (category, type, family, maker, names by language)
    "first_name": ("name", V, T, lambda f: f.first_name(), names(en="first_name firstname fname given_name givenname", de="vorname vname rufname", fr="prenom", es="nombre nombres primer_nombre", it="nome", pt="nome primeiro_nome", nl="voornaam", pl="imie", sv="fornamn", tr="ad isim")),
    "last_name": ("name", V, T, lambda f: f.last_name(), names(en="last_name lastname lname surname family_name", de="nachname name_2 familienname", fr="nom nom_de_famille", es="apellido apellidos primer_apellido", it="cognome", pt="sobrenome apelido", nl="achternaam", pl="nazwisko", sv="efternamn", tr="soyad soyisim")),
    "full_name": ("name", V, T, lambda f: f.name(), names(en="full_name name customer_name contact contact_name person_name", de="name ansprechpartner kundenname", fr="nom_complet nom", es="nombre_completo nombre", it="nominativo nome_completo", pt="nome_completo nome", nl="naam volledige_naam", pl="imie_i_nazwisko", sv="namn fullstandigt_namn", tr="ad_soyad adi_soyadi")),
    "email": ("email", V, T, lambda f: f.email(), names(en="email e_mail email_address mail contact_email", de="email mail mailadresse e_mail", fr="courriel email adresse_mail", es="correo correo_electronico email", it="email posta", pt="email correio", nl="email mailadres", pl="email adres_email", sv="epost e_post epostadress", tr="eposta e_posta")),
    "phone": ("phone", V, T, lambda f: f.phone_number(), names(en="phone phone_number telephone mobile cell_phone tel", de="telefon telefonnummer handy mobil rufnummer", fr="telephone tel portable mobile", es="telefono movil celular", it="telefono cellulare", pt="telefone celular telemovel", nl="telefoon mobiel telefoonnummer", pl="telefon komorka nr_tel", sv="telefon mobil telefonnummer", tr="telefon cep_tel gsm")),
    "street": ("address", V, T, lambda f: f.street_address(), names(en="street address address1 address_line_1 street_address addr", de="strasse anschrift adresse", fr="adresse rue", es="direccion calle domicilio", it="indirizzo via", pt="endereco logradouro morada", nl="adres straat", pl="adres ulica", sv="adress gatuadress", tr="adres sokak")),
    "city": ("city", V, T, lambda f: f.city(), names(en="city town", de="ort stadt wohnort", fr="ville commune", es="ciudad localidad municipio", it="citta comune", pt="cidade", nl="plaats woonplaats stad", pl="miasto miejscowosc", sv="ort stad postort", tr="sehir ilce")),
    "zip": ("postcode", "varchar(10)", T, lambda f: f.postcode(), names(en="zip zip_code postal_code postcode", de="plz postleitzahl", fr="code_postal cp", es="codigo_postal cp", it="cap codice_postale", pt="cep codigo_postal", nl="postcode", pl="kod_pocztowy", sv="postnummer", tr="posta_kodu")),
    "country": (None, V, T, lambda f: f.country(), names(en="country country_name", de="land", fr="pays", es="pais", it="paese", pt="pais", nl="land", pl="kraj", sv="land", tr="ulke")),
    "birth": ("date-of-birth", "date", "date", lambda f: str(f.date_between(date(1938, 1, 1), date(2008, 1, 1))), names(en="birth_date date_of_birth dob birthday birthdate", de="geburtsdatum geb_datum geburtstag", fr="date_naissance date_de_naissance", es="fecha_nacimiento fecha_nac", it="data_nascita data_di_nascita", pt="data_nascimento dt_nasc", nl="geboortedatum", pl="data_urodzenia", sv="fodelsedatum fodelsedag", tr="dogum_tarihi")),
    "age": ("age", "int", "integer", num(18, 90), names(en="age", de="alter lebensalter", fr="age", es="edad", it="eta", pt="idade", nl="leeftijd", pl="wiek", sv="alder", tr="yas")),
    "gender": ("gender", "char(1)", T, pick("M", "F"), names(en="gender sex", de="geschlecht", fr="sexe genre", es="sexo genero", it="sesso genere", pt="sexo genero", nl="geslacht", pl="plec", sv="kon", tr="cinsiyet")),
    "marital": ("marital-status", V, T, pick("single", "married", "divorced"), names(en="marital_status civil_status", de="familienstand", fr="etat_civil situation_familiale", es="estado_civil", it="stato_civile", pt="estado_civil", nl="burgerlijke_staat", pl="stan_cywilny", sv="civilstand", tr="medeni_durum")),
    "nationality": ("nationality", V, T, lambda f: f.country(), names(en="nationality citizenship", de="nationalitaet staatsangehoerigkeit", fr="nationalite", es="nacionalidad", it="nazionalita cittadinanza", pt="nacionalidade", nl="nationaliteit", pl="obywatelstwo", sv="nationalitet medborgarskap", tr="uyruk")),
    "national_id": ("national-id", V, T, lambda f: f.ssn(), names(en="ssn social_security_number national_id", de="sozialversicherungsnummer svnr ausweis_id", fr="nir num_secu numero_securite_sociale", es="dni nif nie", it="codice_fiscale cod_fiscale", pt="cpf", nl="bsn", pl="pesel", sv="personnummer", tr="tc_kimlik tckn")),
    "iban": ("bank-account", V, T, lambda f: f.iban(), names(en="iban bank_account", de="iban", fr="iban", es="iban cuenta_bancaria", it="iban", pt="iban conta", nl="iban rekeningnummer", pl="iban nr_konta", sv="iban bankkonto", tr="iban")),
    "card": ("card-number", V, T, lambda f: f.credit_card_number(), names(en="card_number credit_card cc_number pan", de="kartennummer kreditkarte", fr="numero_carte carte_bancaire", es="numero_tarjeta tarjeta", it="numero_carta", pt="numero_cartao", nl="kaartnummer creditcard", pl="numer_karty", sv="kortnummer", tr="kart_no kart_numarasi")),
    "cvv": ("card-security-code", "char(3)", T, num(100, 999), names(en="cvv cvc security_code card_cvv")),
    "expiry": ("card-expiry", "char(5)", T, lambda _: f"{R.randint(1, 12):02}/{R.randint(25, 31)}", names(en="card_expiry expiry exp_date cc_exp")),
    "salary": ("income", "numeric(10,2)", "decimal", lambda f: f"{R.randint(20, 200) * 1000}", names(en="salary annual_salary wage income", de="gehalt lohn", fr="salaire remuneration", es="salario sueldo", it="stipendio salario", pt="salario", nl="salaris loon", pl="pensja wynagrodzenie", sv="lon manadslon", tr="maas")),
    "username": ("username", V, T, lambda f: f.user_name(), names(en="username user_name login nickname", de="benutzername", fr="nom_utilisateur identifiant_connexion", es="usuario nombre_usuario", it="nome_utente", pt="usuario nome_usuario", nl="gebruikersnaam", pl="nazwa_uzytkownika", sv="anvandarnamn", tr="kullanici_adi")),
    "password": ("password", V, T, hexa(64), names(en="password password_hash passwd encrypted_password pwd", de="passwort kennwort", fr="mot_de_passe mdp", es="contrasena clave", it="password", pt="senha", nl="wachtwoord", pl="haslo", sv="losenord", tr="sifre parola")),
    "api_key": ("secret", V, T, lambda f: "sk_live_" + f.pystr(24, 24), names(en="api_key secret_key apikey access_key")),
    "token": ("secret", V, T, hexa(40), names(en="auth_token reset_token access_token remember_token")),
    "ip": ("ip-address", V, T, lambda f: f.ipv4_public(), names(en="ip ip_address last_login_ip client_ip remote_addr")),
    "ip6": ("ip-address", "inet", "other", lambda f: f.ipv6(), names(en="ip_addr visitor_ip")),
    "mac": ("device-id", V, T, lambda f: f.mac_address(), names(en="mac_address wifi_mac")),
    "imei": ("device-id", V, T, lambda f: f.numerify("##############") + "0", names(en="imei")),
    "idfa": ("device-id", "uuid", "uuid", lambda f: f.uuid4(), names(en="idfa advertising_id device_id gaid")),
    "cookie": ("online-id", V, T, hexa(32), names(en="cookie_id visitor_id session_cookie")),
    "agent": ("user-agent", T, T, lambda f: US.user_agent(), names(en="user_agent useragent browser")),
    "lat": ("location", "double", "float", lambda f: f"{f.latitude():.6f}", names(en="latitude lat home_lat", de="breitengrad", fr="latitude", es="latitud")),
    "lon": ("location", "double", "float", lambda f: f"{f.longitude():.6f}", names(en="longitude lon lng", de="laengengrad", fr="longitude", es="longitud")),
    "plate": ("vehicle-id", V, T, lambda f: f.license_plate(), names(en="license_plate plate number_plate", de="kennzeichen", fr="immatriculation plaque", es="matricula_vehiculo", it="targa", pt="placa", nl="kenteken", pl="nr_rejestracyjny", sv="registreringsnummer", tr="plaka")),
    "vin": ("vehicle-id", "char(17)", T, lambda f: US.vin(), names(en="vin chassis_number", de="fahrgestellnummer")),
    "passport": ("passport", V, T, lambda f: US.passport_number(), names(en="passport_number passport passport_no", de="reisepassnummer ausweisnummer", fr="numero_passeport", es="pasaporte", it="passaporto", pt="passaporte", nl="paspoortnummer", pl="nr_paszportu", sv="passnummer", tr="pasaport_no")),
    "licence": ("driving-licence", V, T, lambda f: f.bothify("?#######").upper(), names(en="drivers_license driving_licence_number dl_number", de="fuehrerscheinnummer", fr="permis_conduire", es="licencia_conducir")),
    "diagnosis": ("health", V, T, pick("hypertension", "asthma", "diabetes mellitus type 2", "migraine", "influenza"), names(en="diagnosis condition", de="diagnose erkrankung", fr="diagnostic maladie", es="diagnostico enfermedad", it="diagnosi malattia", pt="diagnostico doenca", nl="diagnose aandoening", pl="diagnoza rozpoznanie", sv="diagnos sjukdom", tr="tani teshis")),
    "icd": ("health", "varchar(8)", T, pick("I10", "E11.9", "J45.909", "G43.909", "F41.1", "M54.5"), names(en="icd10 icd_code diagnosis_code", de="icd10_code")),
    "drug": ("health", V, T, pick("ibuprofen 400mg", "metformin", "lisinopril 10 mg", "amoxicillin"), names(en="medication prescription drug_name", de="medikament", fr="medicament traitement", es="medicamento")),
    "blood": ("health", "varchar(3)", T, pick("A+", "0-", "B+", "AB-"), names(en="blood_type blood_group", de="blutgruppe", fr="groupe_sanguin", es="grupo_sanguineo", it="gruppo_sanguigno")),
    "insurance": ("health-insurance-id", V, T, lambda f: f.bothify("?#########").upper(), names(en="health_insurance_number insurance_member_id medicare_number", de="krankenversicherungsnummer", fr="numero_mutuelle")),
    "mrn": ("patient-id", V, T, lambda f: f.numerify("MRN######"), names(en="mrn medical_record_number patient_number", de="patientennummer", fr="numero_patient")),
    "religion": ("religion", V, T, pick("catholic", "muslim", "none", "protestant"), names(en="religion faith", de="religion konfession", fr="religion", es="religion", it="religione", pt="religiao", nl="geloof religie", pl="wyznanie religia", sv="religion", tr="din")),
    "ethnicity": ("ethnicity", V, T, pick("White", "Asian", "Black", "Hispanic"), names(en="ethnicity race ethnic_group", fr="origine_ethnique", es="etnia", pt="raca_cor")),
    "politics": ("political-opinion", V, T, pick("Democrat", "Republican", "Independent"), names(en="political_affiliation party_membership", de="parteizugehoerigkeit")),
    "orientation": ("sexual-orientation", V, T, pick("straight", "gay", "bi"), names(en="sexual_orientation", de="sexuelle_orientierung", fr="orientation_sexuelle")),
    "union": ("union-membership", "boolean", "boolean", pick("true", "false"), names(en="union_member trade_union", de="gewerkschaft")),
    "crime": ("criminal-record", V, T, pick("none", "theft", "fraud"), names(en="criminal_record convictions", de="vorstrafen", fr="casier_judiciaire")),
    "fingerprint": ("biometric", "bytea", "binary", hexa(40), names(en="fingerprint face_embedding iris_scan voice_print")),
    "photo": ("photo", T, T, lambda f: f"/uploads/avatars/{R.randint(1, 9999)}.png", names(en="photo avatar profile_picture photo_url", de="foto lichtbild", fr="photo", es="foto")),
    "signature": ("signature", "bytea", "binary", hexa(40), names(en="signature signature_image", de="unterschrift", fr="signature_client")),
    "job": ("employment", V, T, lambda f: f.job(), names(en="job_title occupation profession", de="beruf stellenbezeichnung", fr="profession poste metier", es="profesion ocupacion cargo", it="professione", pt="profissao cargo", nl="beroep functie", pl="zawod stanowisko", sv="yrke befattning", tr="meslek unvan")),
    "grade": ("education", "numeric(3,1)", "decimal", num(1, 10), names(en="grade exam_score gpa", de="note abschlussnote", fr="note_examen", es="calificacion nota")),
    "notes": ("free-text", T, T, note, names(en="notes comments remarks", de="bemerkungen notiz", fr="commentaires remarques", es="observaciones notas", it="note_libere osservazioni", pt="observacoes", nl="opmerkingen notities", pl="uwagi", sv="anteckningar", tr="notlar")),
    "message": ("free-text", T, T, note, names(en="message body content text")),
    "json": ("document", "jsonb", "json", lambda f: json.dumps({"user": {"email": f.email(), "phone": f.phone_number()}, "n": R.randint(1, 9)}), names(en="payload data profile metadata")),
    "social": ("social-profile", V, T, lambda f: f"https://facebook.com/{f.user_name()}", names(en="facebook_url twitter_handle instagram linkedin_profile")),
    # not personal
    "id": (None, "bigint", "integer", num(1, 99999), names(en="id", de="id nr", fr="id", es="id", it="id", pt="id", nl="id", pl="id", sv="id", tr="id")),
    "ref": (None, "bigint", "integer", num(1, 99999), names(en="customer_id user_id account_id person_id", de="kunden_id kundennummer", fr="client_id id_client", es="cliente_id id_cliente", it="id_cliente", pt="cliente_id", nl="klant_id klantnummer", pl="klient_id", sv="kund_id", tr="musteri_id")),
    "uuid": (None, "uuid", "uuid", lambda f: f.uuid4(), names(en="uuid guid external_id public_id")),
    "order": (None, V, T, lambda f: f.numerify("SO-%#######"), names(en="order_number order_no order_id", de="bestellnummer auftragsnr", fr="numero_commande", es="numero_pedido", it="numero_ordine", pt="numero_pedido", nl="bestelnummer", pl="numer_zamowienia", sv="ordernummer", tr="siparis_no")),
    "order_int": (None, "bigint", "integer", num(10**9, 10**11), names(en="order_id invoice_no ticket_number transaction_id")),
    "amount": (None, "numeric(12,2)", "decimal", lambda f: f"{R.uniform(1, 999):.2f}", names(en="amount total price subtotal", de="betrag preis summe", fr="montant prix", es="importe precio", it="importo prezzo", pt="valor preco", nl="bedrag prijs", pl="kwota cena", sv="belopp pris", tr="tutar fiyat")),
    "qty": (None, "int", "integer", num(1, 50), names(en="quantity qty stock", de="menge anzahl bestand", fr="quantite", es="cantidad", it="quantita", pt="quantidade", nl="aantal", pl="ilosc", sv="antal", tr="adet miktar")),
    "created": (None, "timestamptz", "timestamptz", lambda f: str(f.date_time_between(datetime(2019, 1, 1), datetime(2025, 1, 1))), names(en="created_at updated_at inserted_at", de="angelegt_am erstellt", fr="cree_le date_creation", es="creado_en fecha_creacion", it="creato_il", pt="criado_em", nl="aangemaakt_op", pl="utworzono", sv="skapad", tr="olusturma_tarihi")),
    "date": (None, "date", "date", lambda f: str(f.date_between(date(2018, 1, 1), date(2025, 1, 1))), names(en="order_date hire_date start_date due_date", de="bestelldatum eintrittsdatum", fr="date_commande date_embauche", es="fecha_pedido fecha_alta", it="data_ordine", pt="data_pedido", nl="besteldatum", pl="data_zamowienia", sv="orderdatum", tr="siparis_tarihi")),
    "status": (None, V, T, pick("new", "paid", "shipped"), names(en="status state", de="status zustand", fr="statut etat", es="estado", it="stato", pt="situacao", nl="status", pl="status", sv="status", tr="durum")),
    "product": (None, V, T, lambda f: R.choice(("Oak", "Steel", "Nordic", "Classic", "Paris", "Madison", "Lincoln")) + " " + R.choice(("chair", "lamp", "kettle", "table", "mug", "sofa")), names(en="product_name name title", de="artikelname bezeichnung name", fr="nom_produit libelle nom", es="nombre_producto nombre", it="nome_prodotto nome", pt="nome_produto nome", nl="productnaam naam", pl="nazwa_produktu nazwa", sv="produktnamn namn", tr="urun_adi ad")),
    "company": (None, V, T, lambda f: f.company(), names(en="company_name company organization vendor", de="firma firmenname unternehmen", fr="societe entreprise raison_sociale", es="empresa razon_social", it="azienda ragione_sociale", pt="empresa razao_social", nl="bedrijf bedrijfsnaam", pl="firma nazwa_firmy", sv="foretag", tr="firma sirket")),
    "sku": (None, V, T, lambda f: f.bothify("??-####").upper(), names(en="sku part_number item_code", de="artikelnummer", fr="code_article", es="codigo_articulo", it="codice_articolo")),
    "ean": (None, V, T, lambda f: f.ean13(), names(en="ean barcode gtin upc")),
    "isbn": (None, V, T, lambda f: f.isbn13(), names(en="isbn isbn13")),
    "epoch": (None, "bigint", "integer", num(1_500_000_000, 1_760_000_000), names(en="ts unix_time event_time created")),
    "version": (None, V, T, lambda f: f"{R.randint(0, 9)}.{R.randint(0, 20)}.{R.randint(0, 99)}.{R.randint(0, 99)}", names(en="version app_version firmware_version")),
    "sha": (None, V, T, lambda f: f.sha256(), names(en="sha256 file_hash checksum etag md5 content_hash")),
    "currency": (None, "char(3)", T, lambda f: f.currency_code(), names(en="currency currency_code", de="waehrung", fr="devise", es="moneda", it="valuta", pt="moeda", nl="valuta", pl="waluta", sv="valuta", tr="para_birimi")),
    "server_ip": (None, "inet", "other", lambda f: f.ipv4_private(), names(en="server_ip host_ip node_ip gateway_ip listen_address")),
    "host": (None, V, T, lambda f: f.hostname(), names(en="hostname host server_name fqdn")),
    "url": (None, T, T, lambda f: f.uri(), names(en="url link image_url product_url website")),
    "track": (None, V, T, lambda f: f.numerify("JD0#############"), names(en="tracking_number tracking_code awb", de="sendungsnummer", fr="numero_suivi")),
    "tail": (None, V, T, lambda f: f.bothify("N###??").upper(), names(en="tailnum tail_number registration")),
    "text": (None, T, T, lambda f: R.choice(("Hand made from solid wood.", "Washable at 30 degrees.", "Ships within two days.", "Includes batteries and a charger.")), names(en="description details summary", de="beschreibung", fr="description", es="descripcion", it="descrizione", pt="descricao", nl="omschrijving", pl="opis", sv="beskrivning", tr="aciklama")),
    "category": (None, V, T, pick("garden", "kitchen", "office"), names(en="category type kind", de="kategorie art typ", fr="categorie type", es="categoria tipo", it="categoria tipo", pt="categoria tipo", nl="categorie soort", pl="kategoria typ", sv="kategori typ", tr="kategori tur")),
    "flag": (None, "boolean", "boolean", pick("true", "false"), names(en="is_active enabled active deleted", de="aktiv geloescht", fr="actif", es="activo", it="attivo", pt="ativo", nl="actief", pl="aktywny", sv="aktiv", tr="aktif")),
    "measure": (None, "double precision", "float", lambda f: f"{R.gauss(50, 9):.3f}", names(en="temperature humidity pressure voltage speed", de="temperatur druck")),
    "score": (None, "int", "integer", num(0, 999), names(en="score points level rank views")),
    "code": (None, "char(3)", T, lambda f: f.lexify("???").upper(), names(en="code airport_code country_code region_code")),
    "config": (None, "jsonb", "json", lambda f: json.dumps({"theme": R.choice(("dark", "light")), "limit": R.randint(1, 99)}), names(en="settings config options")),
    "path": (None, T, T, lambda f: f.file_path(), names(en="file_path filename path")),
    "tz": (None, V, T, lambda f: f.timezone(), names(en="timezone tz locale")),
    "role": (None, V, T, pick("admin", "editor", "viewer"), names(en="role permission scope")),
}
TEMPLATES = """
crm customers | id first_name last_name email phone street city zip country created status
crm customers | ref full_name email phone company notes created
crm contacts | id full_name job company phone email social flag
crm leads | id full_name company email amount status created
crm companies | id company url -street -city -zip country category created
hr employees | id first_name last_name birth gender national_id email phone street city zip salary job date iban
hr employees | ref full_name marital nationality religion salary date photo
hr candidates | id full_name email phone notes birth status
hr departments | id category amount qty created
hr payroll | ref salary iban date currency
hr equality | ref ethnicity orientation politics union religion gender
shop products | id product sku ean amount qty text category url created
shop orders | order ref amount currency status date
shop order_items | order sku qty amount
shop shipments | track order full_name street city zip date measure
shop reviews | id ref text score created
shop payments | order card expiry cvv full_name amount currency created
shop warehouses | code product -street -city -lat -lon qty
shop users | id username password email ip agent token created flag
shop vouchers | code amount date flag
bank clients | ref first_name last_name national_id birth passport street city zip phone salary
bank accounts | ref iban currency date status
bank transactions | uuid iban amount currency created
bank rates | code measure date currency
bank cards | card full_name expiry cvv status
clinic patients | mrn first_name last_name birth gender insurance blood phone street city zip
clinic visits | uuid mrn diagnosis icd drug notes
clinic wards | code category qty flag
clinic consent | mrn signature fingerprint created
school students | id first_name last_name birth email phone street grade
school subjects | code product qty text
school marks | id ref grade date
telecom lines | id phone imei full_name created status
telecom antennas | code -lat -lon measure date
logistics drivers | id full_name licence phone plate
logistics vehicles | plate vin category qty measure
logistics positions | uuid lat lon epoch measure
logistics parcels | track measure amount status
logistics aircraft | tail category qty date company
logistics airports | code product -city -lat -lon tz country
iot sensors | uuid epoch measure version flag
iot devices | uuid mac version created
iot gateways | host server_ip version flag
web requests | id ip agent path created score
web visits | cookie url ip6 agent epoch
web servers | host server_ip version created
web files | path sha version created url
saas accounts | uuid full_name email username password photo social created role
saas api_keys | uuid api_key ref created flag
saas sessions | uuid token ip agent created
saas messages | id message created flag
saas events | uuid json epoch category
saas settings | id config flag created
saas plans | id product amount currency text
saas jobs | uuid category config status created
ads devices | idfa cookie agent category epoch
gov residents | id first_name last_name birth national_id nationality street city zip marital
gov voters | ref full_name politics street city
gov parcels | code measure category amount
gov offenders | id full_name crime birth
games players | id username email ip score created
games items | id product score text category
insurance policies | order full_name birth plate vin amount date
insurance claims | order full_name phone notes amount date
insurance products | code product amount text
media books | isbn product qty amount date
media episodes | id product url qty date
travel guests | ref full_name passport nationality phone email birth
travel hotels | code product -street -city -phone score
travel flights | code tail measure qty date
misc people | age gender job salary full_name
""".strip().splitlines()
TABLE_WORDS = {"customers": {"de": "kunden", "fr": "clients", "es": "clientes", "it": "clienti", "pt": "clientes", "nl": "klanten", "pl": "klienci", "sv": "kunder", "tr": "musteriler"}, "employees": {"de": "mitarbeiter", "fr": "employes", "es": "empleados", "it": "dipendenti", "pt": "funcionarios", "nl": "medewerkers", "pl": "pracownicy", "sv": "anstallda", "tr": "calisanlar"}, "products": {"de": "artikel", "fr": "produits", "es": "productos", "it": "prodotti", "pt": "produtos", "nl": "producten", "pl": "produkty", "sv": "produkter", "tr": "urunler"}, "patients": {"de": "patienten", "fr": "patients", "es": "pacientes", "it": "pazienti", "pt": "pacientes", "nl": "patienten", "pl": "pacjenci", "sv": "patienter", "tr": "hastalar"}, "students": {"de": "schueler", "fr": "eleves", "es": "alumnos", "it": "studenti", "pt": "alunos", "nl": "leerlingen", "pl": "uczniowie", "sv": "elever", "tr": "ogrenciler"}, "orders": {"de": "bestellungen", "fr": "commandes", "es": "pedidos", "it": "ordini", "pt": "pedidos", "nl": "bestellingen", "pl": "zamowienia", "sv": "ordrar", "tr": "siparisler"}, "warehouses": {"de": "lager", "fr": "entrepots", "es": "almacenes", "it": "magazzini", "pt": "armazens", "nl": "magazijnen", "pl": "magazyny", "sv": "lager", "tr": "depolar"}}
STYLES = (
    lambda n, t: n,
    lambda n, t: n,
    lambda n, t: re.sub("_(.)", lambda m: m[1].upper(), n),
    lambda n, t: "".join(part.capitalize() for part in n.split("_")),
    lambda n, t: n.upper(),
    lambda n, t: f"{t[:4]}_{n}",
)


def table(template, lang, style):
    head, _, concepts = template.partition(" | ")
    domain, name = head.split()
    taken, columns = set(), []
    for concept in concepts.split():
        no = concept.startswith("-")
        category, type_, family, make, by = C[concept.lstrip("-")]
        free = [n for n in by.get(lang, by["en"]) if n not in taken]
        if not free:
            continue
        own = R.choice(free)
        taken.add(own)
        values = list(dict.fromkeys(str(make(FAKERS[lang])) for _ in range(24)))
        columns.append({"name": style(own, name), "type": type_, "family": family, "category": None if no else category, "values": values})
    return {"table": TABLE_WORDS.get(name, {}).get(lang, name), "domain": domain, "language": lang, "columns": columns}


# Tables as they are met: a column is its own name and the concept that its values are made by; `-concept` is not personal there.
MET = """
crm/en tblContacts | ContactPK id, txtFirst first_name, txtLast last_name, strEmail1 email, strEmail2 email, strPhoneBus phone, strMobilePh phone, memNotes notes, dtmCreated created, blnActive flag
crm/en accounts_c | sf_id uuid, Name company, BillingStreet street, BillingCity city, BillingPostalCode zip, Industry category, AnnualRevenue -amount, Owner__c full_name, PersonEmail__c email, PersonBirthdate__c birth
crm/de adressen | adr_id id, zusatz1 category, namenszeile full_name, vorn first_name, nachn last_name, strassenr street, wohnort city, tel_gesch phone, tel_priv phone, mailadr email, erf_datum created
crm/nl relaties | rel_nr id, rel_naam full_name, contactpers full_name, e_mailadres email, tel_vast phone, gsm_nr phone, straatnaam street, huisnr qty=address, woonpl city, btw_nr -sku
crm/fr annuaire | num id, nom_prenom full_name, tel_fixe phone, tel_mob phone, mel email, adr1 street, cpostal zip, localite city, obs notes
crm/es agenda | n id, nom_y_ape full_name, tfno phone, tfno_movil phone, email_contacto email, domic street, cp zip, pobl city, f_alta created, obs notes
crm/it anagrafica | cod_anag id, rag_soc company, nominativo full_name, dt_nasc birth, cod_fisc national_id, tel_cell phone, ind_email email, ind_res street, citta_res city, cap_res zip
crm/pt cadastro | cod id, nm_cliente full_name, nr_cpf national_id, dt_nasc birth, nr_tel phone, ds_email email, ds_endereco street, nm_cidade city, nr_cep zip, vl_renda salary, dt_cadastro created
crm/pl kontrahenci | kh_id id, kh_imie first_name, kh_nazwisko last_name, kh_pesel national_id, kh_email email, kh_tel phone, kh_adres street, kh_miasto city, kh_kod zip
crm/sv medlemmar | medlemsnr id, fnamn first_name, enamn last_name, pnr national_id, mobilnr phone, e_postadress email, adressrad1 street, postadress city, inbetalt amount
crm/tr uyeler | uye_no id, adi first_name, soyadi last_name, tckimlik national_id, telefon_no phone, eposta_adresi email, adres_satiri street, dogum_yili -date=date-of-birth
hr/en hcm_worker | worker_key id, wrk_first_nm first_name, wrk_last_nm last_name, wrk_birth_dt birth, wrk_ssn_nbr national_id, wrk_sex_cd gender, wrk_marital_sts_cd marital, wrk_addr_ln_1 street, wrk_city_nm city, wrk_zip_cd zip, wrk_comp_rate_amt salary, wrk_email_addr email, wrk_hire_dt date, job_cd code, dept_nbr sku
hr/en leave_requests | req_id id, emp_id ref, leave_type category, reason_text notes, medical_certificate diagnosis, from_dt date, to_dt date, approver full_name
hr/en benefits | enrolment uuid, employee_ref ref, dependent_name full_name, dependent_dob birth, dependent_ssn national_id, plan_code code, premium amount
hr/en org_units | unit_id id, unit_name company, head_of_unit full_name, cost_center sku, budget amount
shop/en order_header | ord_no order, bill_to_name full_name, bill_to_addr street, bill_to_city city, bill_to_zip zip, ship_to_name full_name, ship_to_addr street, ship_to_phone phone, gift_message notes, total_amt amount, curr_cd currency, ip_addr ip
shop/en order_line | ln id, sku sku, descr text, uom category, unit_price amount, disc measure, line_total amount
shop/en gift_cards | gc_code order, recipient_email email, sender_name full_name, balance amount, expires_on date
shop/en product_variants | variant_id id, option1 category, option2 category, barcode ean, image url, weight_g measure, title product, vendor company, handle path
shop/en stores | store_no id, store_name company, manager full_name, street -street, city -city, zip -zip, phone -phone, latitude -lat, longitude -lon, opened date
shop/en search_log | query product, hits qty, session cookie, ts epoch, lang currency
shop/en returns | rma order, reason text, refund amount, customer_comment notes, received date
bank/en party | party_id id, party_typ_cd category, full_legal_nm full_name, brth_dt birth, tax_id_nbr national_id=tax-id, ctzn_cntry_cd nationality, emplr_nm company=employment, pep_ind flag
bank/en wire | ref order, debtor_name full_name, debtor_iban iban, creditor_name full_name, creditor_iban iban, remittance_info notes, instructed_amt amount, value_dt date
bank/en atm | atm_id code, location_desc text, lat -lat, lon -lon, cash_level amount
bank/en merchants | mid order_int, dba_name company, mcc qty, city -city, country country, terminal_id sku
bank/en loan_applications | app_ref order, applicant_ssn national_id, applicant_dob birth, monthly_income salary, employer company=employment, co_applicant full_name, purpose category, ltv measure
clinic/en pat_demog | pat_id mrn, pat_lname last_name, pat_fname first_name, pat_mi -flag, pat_dob birth, pat_sex gender, pat_race ethnicity, pat_lang currency, pat_hphone phone, pat_addr1 street, pat_city city, pat_zip zip, pat_ssn national_id
clinic/en problem_list | prob_id id, icd10_cd icd, problem_desc diagnosis, onset_dt -date=health, noted_by full_name
clinic/en rx_fill | fill_id id, rx_num order_int, ndc -sku=health, drug_nm drug, qty_disp qty, pharmacy company, prescriber full_name
clinic/en icd_lookup | icd_code -icd, short_desc -diagnosis, chapter category, valid_from date
clinic/fr consultations | id id, motif -diagnosis=health, tension -measure=health, praticien full_name, date_consult date, compte_rendu notes
school/en enrollment | stu_id id, stu_lgl_nm full_name, stu_email email, gpa grade, advisor full_name, term code, credits qty
telecom/en sim_cards | iccid order_int=device-id, msisdn phone, imsi order_int=device-id, puk qty=secret, activated date
logistics/en deliveries | del_id id, pod_signature signature, pod_name full_name, drop_addr street, drop_lat lat, drop_lng lon, eta created, van_reg plate
logistics/en container_moves | cntr_no sku, vessel product, voyage code, pol code, pod code, eta created
iot/en telemetry | dev_eui sha, rssi score, snr measure, payload_hex sha, rx_ts epoch, gw_id code
iot/en cameras | cam_id id, rtsp_url url, ip server_ip, mac -mac, site category
web/en nginx_access | remote_addr ip, remote_user username, time_local created, request path, status score, body_bytes_sent qty, http_referer url, http_user_agent agent
web/en consent_log | consent_id uuid, gpc flag, ip_hash -sha=ip-address, email_hash -sha=email, categories category, given_at created
web/en form_submissions | id id, form_name category, fields json, submitted_at created, page url
web/en errors | err_id uuid, message text, stack_trace text, release version, count qty
web/en cdn_logs | edge code, c_ip ip, cs_user_agent agent, sc_bytes qty, cs_uri_stem path, x_edge_request_id uuid
saas/en user | id uuid, handle username, name full_name, mail email, pass_digest password, otp_secret token, phone_e164 phone, tz tz, avatar photo, last_login_at created, signup_source category
saas/en membership | id uuid, org_id uuid, invited_email email, role role, invite_token token, accepted_at created
saas/en git_commits | sha sha, author_name full_name, author_email email, committed_at created, message text, lines_added qty
saas/en crash_reports | id uuid, device_model product, os_version version, app_build version, user_email email, install_id idfa=device-id, breadcrumbs config
saas/en outbound_mail | mid uuid, rcpt_to email, mail_from email, subj text, template_name category, sent created
saas/en kv_store | k category, v config, expires epoch
saas/en migrations | version order_int, name path, checksum sha, applied_at created
gov/en births | cert_no order, child_name full_name, mother_maiden_name last_name, father full_name, birth_dt birth, hospital company, weight_g -measure=health
gov/en business_registry | reg_no order, legal_name company, director_name full_name, registered_office -street, capital amount, founded date
gov/en complaints | case_no order, complainant full_name, complaint_text notes, badge_no sku, filed date
games/en leaderboard | rank score, gamer_tag username, points score, country country, achieved created
games/en quests | quest id, title product, description text, xp score, min_level qty
insurance/en fnol | claim_no order, loss_date date, insd_nm full_name, insd_phone phone, veh_vin vin, veh_plate plate, loss_desc notes, est_amt amount
media/en tracks_meta | isrc sku, title product, artist -full_name, album product, bpm qty, label company
media/en newsletter | addr email, fname first_name, src category, unsub flag
media/en articles | slug path, headline product, byline -full_name, body text, published created
events/en attendees | badge id, attendee full_name, company company, dietary -drug=health, tshirt category, email email
events/en venues | venue id, venue_name company, address -street, city -city, capacity qty, contact_email email
legacy/en dump | a id, b full_name, c email, d birth, e amount, f uuid, g product, h company
legacy/en t_4711 | x1 first_name, x2 last_name, x3 iban, x4 card, x5 phone, x6 order, x7 epoch, x8 sku
legacy/de tab1 | feld1 full_name, feld2 street, feld3 city, feld4 product, feld5 isbn, feld6 ip
legacy/en raw_json | doc json, cfg config, n qty
crm/ru klienty | id id, fio full_name, tel phone, email email, gorod city, adres street, data_rozhd birth, pol gender, summa amount, sozdano created
crm/ru sotrudniki | tab_nomer id, familiya last_name, imya first_name, dolzhnost job, oklad salary, telefon phone, data_priema date
crm/uk users_ua | id id, pib full_name, poshta email, telefon phone, misto city, stvoreno created
crm/zh yonghu | yonghu_id id, xingming full_name, shouji phone, youxiang email, dizhi street, shengri birth, chuangjian_shijian created, jine amount
crm/zh users_cn | id id, real_name full_name, mobile phone, id_card national_id, addr street, created_at created
crm/ja kaiin | kaiin_no id, shimei full_name, tel phone, email email, jusho street, seinengappi birth, toroku_bi created, kingaku amount
crm/ja kokyaku_master | id id, sei last_name, mei first_name, yubin zip, todofuken country, denwa_bango phone
crm/hi grahak | id id, naam full_name, mobile phone, pata street, shahar city, janm_tithi birth, rashi amount
crm/in customers_in | cust_id id, cust_name full_name, mobile_no phone, email_id email, addr street, dob birth, gst_no sku, amt amount
crm/ko members_kr | id id, name full_name, phone phone, email email, juso street, reg_dt created
crm/ar customers_ar | id id, full_name full_name, jawwal phone, email email, madina city, created created
crm/da kunder | kundenr id, fornavn first_name, efternavn last_name, mobil phone, mail email, vejnavn street, postnr zip, by_navn city, oprettet created
crm/fi asiakkaat | asiakas_id id, etunimi first_name, sukunimi last_name, puhelin phone, sahkoposti email, katuosoite street, postinumero zip, kaupunki city, luotu created
crm/cs zakaznici | id id, jmeno first_name, prijmeni last_name, telefon phone, email email, ulice street, mesto city, psc zip, datum_narozeni birth, castka amount
crm/hu ugyfelek | id id, vezeteknev last_name, keresztnev first_name, telefonszam phone, email email, cim street, varos city, iranyitoszam zip, szuletesi_datum birth
crm/el pelates | id id, onoma first_name, eponymo last_name, tilefono phone, email email, dieuthynsi street, poli city, tk zip
crm/gb clients_uk | client_ref id, forenames first_name, surname last_name, ni_number national_id, postcode zip, town city, tel_no phone, d_o_b birth, sort_code code
hr/en comp_review | emp_no id, emp_nm full_name, base_sal salary, bonus_amt salary, perf_rtg -score=employment, mgr_cmts notes, eff_dt date
hr/en emergency | emp_id ref, ec_name full_name, ec_relationship category=marital-status, ec_phone phone
hr/en time_off | id id, employee_id ref, type category, days qty, approved flag
hr/de bewerber | bewerber_id id, name full_name, anschreiben notes, gehaltswunsch salary, geburtsjahr birth, telefon phone, stelle -category
hr/de mitarbeiterdaten | personalnummer id, vorname first_name, nachname last_name, eintritt date, sv_nummer national_id, steuerklasse code, konfession religion, kinder qty=marital-status, iban iban
hr/fr paie | matricule id, nom last_name, prenom first_name, num_ss national_id, net_a_payer salary, rib_iban iban, date_paie date
hr/es nominas | num_empleado id, nombre_empleado full_name, nss national_id, salario_bruto salary, cuenta_iban iban, fecha date
clinic/en vitals | visit_id uuid, bp_systolic qty=health, pulse qty=health, temp_c measure=health, recorded_by full_name
clinic/en appointments | appt_id uuid, patient_name full_name, patient_phone phone, reason diagnosis, starts_at created, room code
clinic/de befunde | befund_nr id, patient full_name, diagnosetext diagnosis, icd icd, arzt full_name, datum -date
clinic/es pacientes | nhc mrn, nombre first_name, apellidos last_name, diagnostico diagnosis, alergias drug, grupo_sang blood, fec_nac birth
clinic/en immunizations | id id, child_name full_name, vaccine -drug=health, lot sku, given_on -date=health
school/en roster | sid id, student full_name, parent_email email, home_phone phone, iep flag=health, homeroom code
school/fr bulletins | id id, eleve full_name, matiere category, moyenne grade, appreciation notes
gov/en tax_returns | return_id uuid, filer_name full_name, filer_ssn national_id, agi salary, refund amount, filing_status -marital=marital-status
gov/en passports | doc_no passport, holder full_name, birth_place city=birth-place, issued date, expires date
gov/en asylum | case_id order, applicant full_name, ethnicity ethnicity, religion religion, country_of_origin -country=nationality, statement notes
gov/de kfz_halter | halter full_name, anschrift street, kfz_kz plate, fin vin, erstzulassung date, hersteller company
bank/en beneficial_owners | id uuid, owner_name full_name, ownership_pct measure, country_of_residence country, passport_no passport, company company
bank/en statements_of_account | stmt uuid, opening_bal amount=income, closing_bal amount=income, account_iban iban, period code
bank/en trades | trade_id uuid, isin sku, qty qty, price amount, counterparty company, trader full_name, executed created
bank/en cards_tok | token uuid=secret, last4 qty, brand category, exp_month qty=card-expiry, exp_year qty=card-expiry, name_on_card full_name
telecom/en usage | msisdn phone, bytes_up order_int, bytes_down order_int, cell_id code, ts epoch
telecom/en porting | port_id uuid, from_no phone, to_carrier company, requested date
logistics/en drivers_log | log_id uuid, driver_name full_name, odometer qty, lat lat, lon lon, note notes, at created
logistics/en bills_of_lading | bl_no order, shipper company, consignee company, notify_party company, vessel product, pol code, pod code
logistics/en depots | depot code, depot_name company, addr -street, postcode -zip, tel -phone, lat -lat, lng -lon
logistics/en stops | stop_id id, stop_name product, stop_lat -lat, stop_lon -lon, zone code
iot/en door_events | id uuid, badge_holder full_name, door code, opened created
iot/en thermostats | serial sku, home_address street, setpoint measure, fw version
web/en sessions_raw | sid token=online-id, uid ref, ip_v4 ip, ua agent, started epoch
web/en newsletter_events | id uuid, recipient email, event category, link url, ip ip, at created
web/en search_index | doc_id uuid, title product, body text, lang currency, score measure
web/en tls_certs | cn host, issuer company, fingerprint sha, not_after created
web/en robots | path path, allow flag
saas/en invites | id uuid, invitee_email email, invited_by full_name, code token=secret, expires_at created
saas/en integrations | id uuid, provider category, webhook_url url, bearer token=secret, config config
saas/en users_flat | _id sha, profile_first first_name, profile_last last_name, profile_phone phone, profile_city city, profile_pic photo, settings config, created epoch
saas/en comments | id uuid, author full_name, author_ip ip, body notes, likes qty, created created
saas/en deploys | id uuid, sha sha, env category, version version, deployed_by username, at created
games/en accounts | acc id, nick username, mail email, pw password, xp score, last_ip ip
games/en maps | map id, name product, width qty, height qty
insurance/en beneficiaries | id id, benef_name full_name, relationship category=marital-status, share_pct measure, iban iban
insurance/en quotes | quote order, age age, sex gender, smoker flag=health, postcode zip, vehicle product, premium amount
media/en cast_members | film code, actor full_name, character product, billing qty
media/en publishers | id id, publisher company, city -city, founded qty
media/en podcasts | id id, title product, host -full_name, feed url
misc/en key_value | key category, value text
misc/en lookup_countries | iso code, name -country, capital -city, phone_prefix qty
misc/en currencies | code currency, name product, symbol code
misc/en weather_stations | station code, name -city, lat -lat, lon -lon, elevation qty, temp measure
misc/en sports_results | race_no qty, athlete full_name, age age, country country, finish measure
misc/en recipes | id id, title product, author_name -full_name, instructions text, servings qty
misc/en real_estate | listing order, street -street, city -city, zip -zip, price amount, sqft qty, agent_phone phone
legacy/en export_2021 | field_1 full_name, field_2 birth, field_3 national_id, field_4 amount, field_5 sku, field_6 city, field_7 agent
legacy/en kunden_alt | k1 first_name, k2 last_name, k3 street, k4 zip, k5 city, k6 phone, k7 created
legacy/en t9 | v1 uuid, v2 epoch, v3 ean, v4 version, v5 sha, v6 measure, v7 code
legacy/de x_import | spalte1 iban, spalte2 card, spalte3 email, spalte4 order, spalte5 product
""".strip().splitlines()


def met(line):
    head, _, rest = line.partition(" | ")
    (where, name), columns = head.split(), []
    domain, lang = where.split("/")
    for spec in rest.split(", "):
        own, concept = spec.split()
        concept, _, other = concept.partition("=")
        category, type_, family, make, _ = C[concept.lstrip("-")]
        values = list(dict.fromkeys(str(make(FAKERS[lang])) for _ in range(24)))
        columns.append({"name": own, "type": type_, "family": family, "category": other or (None if concept.startswith("-") else category), "values": values})
    return {"table": name, "domain": domain, "language": lang, "columns": columns}


def main():
    for template in TEMPLATES:
        for lang in ("en", *R.sample(LANGS[1:], 1)):
            print(json.dumps(table(template, lang, R.choice(STYLES)), ensure_ascii=False))
    for line in MET:
        print(json.dumps(met(line), ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
