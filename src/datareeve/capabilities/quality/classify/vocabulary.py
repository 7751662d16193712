"""What single words of names mean, in some thirty languages: a name is what is left of it without the words that only say how it is written or whose it is.

`lexicon` knows whole names; here `raqm_hatif_al_amil` is a number, a telephone and a customer, and `Tel_cislo_zak` the same in another order. A
name that is read so is certain where every word of it is known and all of them speak of one thing. Words are folded (`fold`) and long vowels
are one: `juusho` is `jusho`, and so is a word that Japanese or Finnish writes with two.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

# Words that say how a thing is written, or bind others. Alone they are no name of anything.
_FILLERS = """
    no nr num number nbr numb numer numero numara numarasi nummer nomer nomor nomo nomero szam szama cislo broj stevilka raqm raqam rakam shomareh bango bangou hao haoma so beonho hoho
    numri numeris numurs number bilangan namba mispar arithmos arith kodikos numaras sankhya krama
    code cd cod kod codigo codice kode kodi kodas kods kood koodi kodu text txt str val value full complete kamil kamel lengkap teljes pelny volledig komplett completo complet puno polno plny
    de del della di do da du des la le el al l d of the az a et e y i und and og och en van za na od para pour per fur
    date dat data datum dato datums datas fecha fec tarih tarihi tarikh tarikhe tanggal tgl dt hizuke bi ngay kuupaev paivamaara pvm hmerominia imerominia wanthi tithi tarikh dzien den dan dag day jour dia nap giorno
    year yr rok jahr jaar an annee ano anno ar aar ev yil tahun nam nian nen god leto etos vuosi
    line ln 1 2 3 4 5 main primary secondary alt second home priv private personal privat prive osobni osobny osobisty lichnyy licnyi shakhsi pribadi
    current actual res resid residence residencia residenza registered reg legal mailing delivery billing shipping contact
    brut brutto gross net netto neto bruto base basic pokok osnovna osnovna podstawowe grund fixed annual monthly yearly hourly amount amt band bucket level status sts stato statut stan stav tinhtrang
    days dager dage dagar dias giorni jours dni paivat tage hari series serie seria serija
    tbl fld col vl ds s fl sg tx st dtm dte
"""
# Whose it is: alone, a name with these may be that of somebody.
_PERSONS = """
    person persons people persona personas persone pessoa pessoas personne osoba osoby henkilo isik asmuo szemely orang nguoi watu mtu shakhs ren hito
    customer cust client customers kunde kunden kundin klient klienta klienti klantin klant klanten cliente clientes clienti clients musteri musteriler pelanggan kokyaku kyaku kehu zakaznik zakaznici zakaznika kupac kupci pelatis pelates pelati asiakas asiakkaat ugyfel ugyfelek ugyfelnev klientas klientai klients kliendi kliendid zbon lakuch mushtari amil zabun khach mteja grahak kupets pokupatel kund kunder
    employee emp staff worker mitarbeiter angestellter pracownik pracownicy pracownika zamestnanec zamestnanci zaposleni radnik dolgozo dolgozok alkalmazott karyawan pegawai nhanvien shain jugyoin yuangong angajat angajati salariat salarie salaries employe empleado empleados dipendente dipendenti funcionario funcionarios medewerker medewerkers calisan personel ansatt ansatte anstalld medarbejder medarbejdere tyontekija sotrudnik sotrudniki muwazzaf muwazaf karmand oved karmachari darbuotojas darbinieks tootaja mfanyakazi
    patient patients pat patienten paciente pacientes paziente pazienti pacjent pacjenci pacient pacienti hasta hastalar pasien kanja huanzhe bemor marid mareed mardaa almarda asthenis astheneis potilas potilaat beteg betegek pacijent pacijenti bolnoy rogi mgonjwa benhnhan
    member mitglied mitglieder socio socios socia soci membre membres czlonek czlonkowie clen clenove clanovi uye uyeler anggota kaiin huiyuan jasen jasenet tagok medlem medlemmer medlemmar melos meli membru membri liige nariai biedrs wanachama adherent adherents abonne abonnes
    student pupil schueler etudiant eleve alumno alumna alumni studente aluno alunos uczen student ogrenci ogrenciler mahasiswa siswa gakusei seito xuesheng diak hallgato mathitis foititis opiskelija oppilas elev elever ucenik dijak talib hocsinh mwanafunzi chhatra
    user usr usuario usuarios utente utenti utilisateur utilisateurs gebruiker gebruikers uzytkownik uzytkownicy uzivatel uzivatele korisnik korisnici kullanici pengguna yuza yonghu bruker brugere anvandare kayttaja felhasznalo utilizator utilizatori xristis polzovatel mustakhdim
    citizen resident einwohner bewohner habitant vecino residente cittadino mieszkaniec obyvatel obcan penduduk warga vatandas lakos asukas jumin muwatin
    recipient receiver empfaenger destinataire destinatario odbiorca prijemce prejemnik primatelj alici penerima mottaker modtager mottagare vastaanottaja cimzett destinatar gavejas sanemejs mustalim
    guest gast gaste invitado huesped ospite hospede gosc misafir tamu vendeg vieras gaest gjest oaspete
    owner holder inhaber halter titulaire proprietaire titular dueno intestatario proprietario wlasciciel majitel vlasnik sahip sahibi pemilik omistaja tulajdonos eier ejer agare proprietar
    mother father spouse partner child parent mutter vater ehepartner conjoint enfant madre padre conyuge hijo hija figlio coniuge mae pai filho matka ojciec dziecko otec dite majka otac anne baba cocuk ibu ayah anak anya apa gyerek aiti lapsi copil haha chichi
    contact ansprechpartner kontakt kontaktni kontaktperson contacto contatto interlocuteur lead leads prospect applicant candidate kandidat candidato bewerber voter voters driver insured assure asegurado assicurato segurado versicherter verzekerde verzekerden ubezpieczony pojistenec sigortali
    emergency notfall urgence emergencia emergenza acil darurat tenant mieter locataire inquilino najemca kiraci najemnik debtor schuldner dluznik
    donor donors rider passenger passengers passager pasajero passeggero pasazer yolcu penumpang lifter
    adherents abonnes societaires kaiin ugyfelek klienti
"""
# What one word is enough for: whatever fillers and persons stand beside it.
_CERTAIN: dict[str, str] = {
    "name": """vorname nachname familienname rufname zuname prenom prenoms apellido apellidos ape ape1 ape2 apellido1 cognome sobrenome apelido voornaam achternaam roepnaam voorletters
        imie imiona nazwisko jmeno krestni prijmeni krstni priimek prezime meno priezvisko vezeteknev keresztnev vnev knev csaladnev utonev etunimi etunimet sukunimi eesnimi perenimi perekonnanimi vardas pavarde vards uzvards
        fornavn efternavn etternavn mellemnavn fornamn efternamn soyad soyadi soyisim isim nume prenume eponymo onoma onomateponymo familiya otchestvo fio imya imia prizvyshche pib ime imeto bashtino
        ism isim laqab kunya naam upnaam pura poora nama namadepan namabelakang hovaten hodem shimei seimei myoji xingming xing sei mei simei ngalan apelyido pangalan jina namn nimi nev neve shem mishpacha emri mbiemri
        firstname lastname surname forename givenname familyname fullname fname lname""",
    "phone": """telefon telefono telefone telefoon telefonu telefoni telefonnummer telefonnr telefonszam telefonas talrunis telefona telepon telpon telefax telef tfno tfn tlf tlfn puh puhelin puhelinnumero matkapuhelin mobil mobilni mobilnr mobilszam mobiltelefon
        mobielnr mobiel movil celular celulare cellulare telemovel komorka komorkowy handy handynummer rufnummer gsm cep ceptel hatif jawwal jawal mobail ponsel dienthoai dienthoaididong sdt denwa keitai dianhua shouji jeonhwa hyudaepon tilefono kinito tel fon
        phone mobile cell msisdn fax faks ph sotovyy simu doorphone mobitel tilephono""",
    "address": """adres adresa adrese adressen adresi adresas aadress adresse adress adresseline address addr anschrift wohnanschrift unwan onvan alamat diachi jusho juso dizhi zhuzhi lakcim cim osoite katuosoite kotiosoite lahiosoite dieuthynsi odos ulica ulice uliceacp
        utca hazszam hausnummer huisnr huisnummer straat straatnaam strasse street rue calle rua logradouro indirizzo direccion domicilio domicile endereco morada gatuadress gatuadr gateadresse vejnavn gata tanav iela gatve jalan jl sokak cadde mahalle acikadres bydliste bydlisko boravak prebivalisce naslov strada apt apartment apartament apartman
        huisadres woonadres thuisadres miejscezamieszkania zamieszkania kucnibroj huisnr talonumero diachi adreso adoresu anwani tirahan""",
    "postcode": """plz postleitzahl codepostal postcode postnummer postnr psc kodpocztowy pocztowy poczt postakodu iranyitoszam irsz yubin youbin udonbeonho postinumero postinro postiindeks poskod kodepos taxydromikos postarski postanskibroj postanski cep pincode zip zipcode zip5 pstcd""",
    "date-of-birth": """geburt geburtsdatum geburtstag geburtsjahr gebdatum gebdat geb naissance naiss datenaissance nacimiento nacim nac fnacim fnac fnacimiento nascita nascimento nasc dtnasc geboortedatum geboorte geboortejaar geboortedag urodzenia urodz urodzony dogum dogumtarihi narozeni nar narozen narodenia rojstva rojstni rodjenja rodenja rodenia
        szuletesi szuletett szuldatum szul fodelsedatum fodelsedag fodd fodselsdato fodselsdag fodt syntymaaika syntymapaiva synnikuupaev sunniaeg sunnikuupaev sunni gimimo dzimsanas nasterii nastere rozhdeniya rozhd narodzhennya razhdane gennisis gennhseos milad meelad mawlid wiladat tavallod leida janm janma
        lahir kelahiran tgllahir sinh ngaysinh seinengappi tanjobi umaredoshi chusheng shengri saengnyeonworil saengil ditelindja datelindje kuzaliwa kapanganakan dob birth birthdate birthday bday bdate born yob""",
    "date-of-death": """zgonu umrti smrti deces decesului doden dodsdato overlijden vefat olum wafat halal kuolinpaiva""",
    "age": """edad idade leeftijd wiek vek starost yas umur usia ika alder vozrast nianling nenrei toshi umar sinn ilikia varsta umri tuoi nai""",
    "gender": """geschlecht gesch sexe sexo sesso geslacht plec pohlavi pohlavie spol cinsiyet sukupuoli sugu lytis dzimums kjonn neme nem fylo jins jinsi jinsiat ling linga kelamin gioitinh seibetsu xingbie seongbyeol gender sex gndr gjinia jinsia kasarian""",
    "marital-status": """familienstand civilstand sivilstatus sivilstand stancywilny csaladiallapot siviilisaaty perekonnaseis medenihal medenidurum haletijtimaiya pernikahan perkawinan honnhan konin hunyin""",
    "nationality": """staatsangehoerigkeit nationalite nacionalidad nazionalita nacionalidade nationaliteit obywatelstwo obcanstvi obcianstvo drzavljanstvo uyruk uyrugu allampolgarsag kansalaisuus kodakondsus pilietybe pilsoniba cetatenie cetatenia ithageneia ypikootita grazhdanstvo jinsiya jinsiyya jinsiyah tabiiyat kewarganegaraan warganegara quoctich kokuseki guoji gukjeok statsborgerskap statsborgerskab medborgarskap nationality citizenship kombesia uraia""",
    "national-id": """pesel bsn dni nie nif cpf curp rut cedula codfiscale codfisc nir numsecu secu insee personnummer personnr personnumer fodselsnummer fodselsnr fnr cprnr cpr hetu henkilotunnus isikukood isikood asmenskodas personaskods rodnecislo rodne emso jmbg oib egn cnp amka taj tajszam szemelyi
        kimlik tckimlik tckn tcno hawiya hawiyya hawiyat iqama melli kodemelli kodmeli zehut teudat nik ktp cccd cmnd mynumber shenfenzheng shenfen sfz jumin juminbeonho nric mykad aadhaar aadhar snils rrnkr rijksregister rijksregisternummer niss ahv ahvnr svnr svnummer nino ssn ssno curpno kennitala matriculanss nuss nss rg nid omang kitambulisho""",
    "tax-id": """steuerid steueridnr steuernummer idnr steueridentnr adoazonosito adoszam afm inn cuil cuit rfc npwp vergi verginosu contribuinte tin itin utr tfn""",
    "passport": """buletin dowod dowodu ausweis personalausweis lichnakarta osobnaiskaznica ossobna iskaznica iskaznice obcanka passport passeport pasaporte passaporto passaporte paspoort paszport paszportu pasport pasu pasaport pasaportno utlevel utlevelszam passi passinumero passnr passnummer pasas pase pashaport diavatirio diavatiriou zagranpasport jawaz jawazsafar gozarname darkon paspor hochieu ryoken huzhao yeogwon putovnica potni""",
    "driving-licence": """fuehrerschein fuhrerschein permisconduire rijbewijs rijbewijsnr prawojazdy ridicak ridicsky vozacka vozniska ehliyet ehliyetno jogositvany ajokortti korkort forerkort korekort rukhsa gplx menkyo jiashizheng carnetconducir cnh permisulauto""",
    "health-insurance-id": """osiguranika ubezpieczonego pojistence pojistenca versichertennr versichertennummer krankenkassennr kvnr kvnummer bpjs hokensho nhs medicare medicaid""",
    "patient-id": """patientennr patientnr mrn hastano kartotekanr""",
    "bank-account": """kontonr kontonummer kontaktkonto konta rachunku iban ibannr rekeningnr rekeningnummer rekening bankrekening cuentabancaria cta bancaria cuenta contocorrente contabancaria uctu uctet bankszamla bankszamlaszam szamlaszam tilinumero pangakonto hesapno hesap rib clabe cbu kouza koza norek rekeningbank yinhangka gyejwa gyejwabeonho bankkonto bankkontonr sortcode""",
    "income": """bonitaet bonitat schufa arslonn manedslonn arslon gehalt lohn einkommen salaire revenu sueldo salario nomina ingresos stipendio reddito salaris loon inkomen wynagrodzenie pensja zarobki placa mzda placilo maas gelir fizetes jovedelem palkka ansiotulo lonn inkomst palk alga atlyginimas salariu venit mistos misthos eisodima zarplata oklad ratib daramad tankhah vetan gaji upah penghasilan luong kyuyo nenshu gongzi xinzi geupyeo yeonbong paga mshahara""",
    "password": """passwort kennwort motdepasse mdp contrasena contrasenia senha wachtwoord haslo heslo geslo lozinka sifre parola jelszo salasana parool slaptazodis losenord adgangskode passord kodikosprosvasis parol kalimatalsir katasandi sandi matkhau pasuwado mima bimilbeonho fjalekalimi nenosiri""",
    "religion": """religion religione religiao religio religia religie geloof wyznanie nabozenstvi vjera dini vallas uskonto usk tikyba ticiba thriskeia diyana diyanah mazhab agama tongiao shukyo zongjiao jonggyo feja""",
    "ethnicity": """ethnie etnia etnicitet etniciteit narodnost narodowosc etnikum etninen rahvus tautybe tautiba suku dantoc minzu caste jaati jati ethnicity""",
    "health": """diagnose diagnosi diagnoza diagnostico goldarah krwi krvi krve darah sykefravaer sykedager sygefravaer sjukfranvaro sairauspoissaolo zwolnienielekarskie diagnostic diagnoos diagnoze diagnozis diagnosis krankheit maladie enfermedad malattia doenca ziekte choroba nemoc bolest bolezen hastalik betegseg sairaus haigus slimiba boala asthenia bolezn marad bimari penyakit benh byomei shindan zhenduan jinbing tashkhis tashkhees semundje ugonjwa teshis
        blutgruppe bloedgroep bloodgroup gruposanguineo grupposanguigno groupesanguin grupakrwi krevniskupina krvnagrupa kangrubu vercsoport veriryhma blodtype blodgrupp golongandarah nhommau ketsuekigata xuexing faseelat fasila alergie alergi alergia allergie allergi allergia allergies aleri lekarstvo behinderung handicap discapacidad minusvalia disabilita deficiencia beperking niepelnosprawnosc postizeni engelli engellilik vammaisuus fogyatekossag invaliditate anapiria""",
    "email": """email mail emailadresse emailcim courriel correo correoelectronico posta eposta epost sahkoposti posteelectronique elpastas epasts epasta elposta elektronickaposta surel barid bareed imeyili meru meeru youxiang imeil meil ilmeil postael""",
    "employment": """beruf metier profesion professione profissao beroep zawod povolani povolanie zanimanje poklic meslek foglalkozas ammatti amet profesija profesie epaggelma professiya mihna mehna shoghl pekerjaan jabatan nghenghiep chucvu shokugyo zhiye jigeop stanowisko puesto cargo mansione functietitel munkakor erhverv yrke befattning stilling radnomjesto delovnomesto unvan occupation profession
        zatrudnienia zatrudn isegiris tuyendung einstellung einstellungsdatum eintrittsdatum hiredate""",
    "birth-place": """geburtsort geboorteplaats lieunaissance lugarnacimiento luogonascita naturalidade miejsceurodzenia mistonarozeni rojstnikraj mjestorodjenja dogumyeri szuletesihely syntymapaikka fodested fodelseort tempatlahir noisinh shusseichi chushengdi""",
    "vehicle-id": """kennzeichen kfzkennzeichen immatriculation matriculacoche targa kenteken rejestracyjny tablica tablice spz ecv registrska plaka rendszam rekisterinumero rekisterinro nummerplade registreringsnr numeinmatriculare pinakida gosnomer lawha lawhat polnomor platnomor bienso naamban chepai""",
    "signature": """unterschrift signature firmaimagen handtekening podpis imza alairas allekirjoitus allkiri parasas paraksts underskrift semnatura ypografi chuky shomei qianming seomyeong tawqi""",
}  # fmt: skip
# What one word is only enough for beside persons, or with values that fit.
_LIKELY: dict[str, str] = {
    "name": "ad adi nama ten ho mei sei na nombre nome nom naam nazwa jina naziv nazov",
    "city": """stadt wohnort ort ville commune ciudad localidad municipio poblacion citta comune cidade municipio woonplaats plaats gemeente miasto miejscowosc mesto misto obec grad kraj mjesto sehir ilce varos telepules kaupunki kunta linn vald miestas pilseta
        oras localitate poli polis gorod madina medina shahr ir kota kabupaten kecamatan thanhpho quan huyen shi toshi chengshi dosi by poststed postort kommun kommune suburb town locality postitoimipaikka stanovanja qytet mji""",
    "gender": "pol kon gen min jantina",
    "income": "renda brutto netto bruto neto saldo prime bonus",
    "national-id": "id identitas identifikasi",
    "health": "tani absence sykdom fravaer arbeitsunfaehig krankenstand",
    "marital-status": "stav stan",
}  # fmt: skip
# How words begin, or what they are made with, that are inflected or written together: `narodzenia`, `Kundentelefon`, `salariului`.
_STEMS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("birth-place", re.compile(r"geburts(?:ort|land|stadt)\w*|geboorteplaats|fodested|\w*birthplace")),
    ("date-of-birth", re.compile(r"\w*(?:geburt|gebdat|naissanc|nacimient|nasciment|nascita|geboort|urodz|dogum|narozen|naroden|rodjenj|rodenj|rojstv|szulet|fodels|fodsel|syntyma|rozhden|narodzh|rojden|gennis|nasterii|kelahir|kuzaliw|birth)\w*")),
    ("phone", re.compile(r"\w*(?:telefo|telepho|telepon|puhelin|handynr|handynum|rufnummer|mobilnum|mobielnum|mobiltel|mobilnr)\w*|\w+(?:tlf|phone|fon|fono)")),
    ("email", re.compile(r"\w*(?:email|mailadr|sahkopost|eposta)\w*")),
    ("health", re.compile(r"di[aj]+gno\w*|\w*(?:krankheit|sykdom|sjukdom|behinderung)\w*|bolesn\w*|chorob\w*|nemoc\w*|alerg\w*|allerg\w*")),
    ("income", re.compile(r"salari\w*|\w*(?:gehalt|wynagrodz|verguet|remunera|stipend|inkom|einkommen)\w*|zarplat\w*|zarob\w*|mzd\w*")),
    ("employment", re.compile(r"angaj[au]\w*|zatrudn\w*|zaposl\w*|zamestnan\w*|anstell\w*|ansettels\w*|contratacion\w*")),
    ("religion", re.compile(r"relig\w*|\w*konfession\w*|wyznani\w*|nabozen\w*")),
    ("nationality", re.compile(r"nationalit\w*|nacionalid\w*|obywatel\w*|obcans\w*|drzavljan\w*|grazhdan\w*|staatsang\w*|statsborger\w*")),
    ("passport", re.compile(r"\w*(?:passeport|pasaport|passport|passapor|paszport|reisepass)\w*")),
    ("marital-status", re.compile(r"familienst\w*|matrimonial\w*|perkawin\w*|pernikah\w*")),
    ("driving-licence", re.compile(r"\w*(?:fuehrersch|fuhrersch|rijbewij|korkort|forerkort|korekort|ajokort)\w*")),
    ("signature", re.compile(r"\w*(?:unterschrift|underskrift|handteken|allekirjoit)\w*")),
)  # fmt: skip
_TRUNCATED = 7  # letters: of what is shorter too many words begin alike
_PLACE = re.compile(
    r"ort|stadt|land|place|lieu|lugar|luogo|local|city|ville|town|country|miejsce|misto|mesto|mjesto|kraj|yer|yeri|hely|helye|paikka|plaats|sted|tempat|noi|makan"
)
_LONG = re.compile(r"([aeiou])\1")
_MOST = 6  # words of a name: more of them are a sentence


@lru_cache(maxsize=4096)
def says(words: str) -> dict[str, float]:
    """Which category all words of a name speak of: 1.0 certain, 0.5 likely; nothing where a word of it is not known."""
    every = _segmented([word for word in words.split() if not word.isdigit()])
    kinds = [kind for kind in map(_of, every) if kind]
    others = [word for word in every if not _of(word)]
    if not every or len(every) > _MOST or not all(map(_only_says_more, others)):
        return {}
    if not kinds:
        return {"name": 0.5} if len(every) == 1 and every[0] in persons_words() else {}
    common = frozenset.intersection(*(frozenset(kind) for kind in kinds))
    if {"email", "address"} <= frozenset().union(*kinds):  # the address of a letter box
        common = frozenset(("email",))
    if any(map(_PLACE.fullmatch, others)):
        return {"birth-place": 1.0} if "date-of-birth" in common else {}
    return {kind: max(of.get(kind, 0.0) for of in kinds) or 1.0 for kind in common}


def _only_says_more(word: str) -> bool:
    return word in _fillers() or word in persons_words() or _PLACE.fullmatch(word) is not None


def _segmented(every: list[str]) -> list[str]:
    """Words that only mean something together are one: `gioi tinh`, `cep tel`."""
    found: list[str] = []
    while every:
        for size in (3, 2):
            joined = "".join(every[:size])
            if len(every) >= size and (joined in _known() or joined in _fillers()):
                found.append(joined)
                every = every[size:]
                break
        else:
            found.append(every[0])
            every = every[1:]
    return found


@lru_cache(maxsize=4096)
def _of(word: str) -> dict[str, float]:
    """The categories of a word, also where its vowels are written twice, where it is inflected, or cut off."""
    known = _known().get(word) or _known().get(_LONG.sub(lambda m: m[1] or m[0], word).replace("ou", "o"))
    if known or word in _fillers() or word in persons_words():
        return known or {}
    stem = next((kind for kind, pattern in _STEMS if pattern.fullmatch(word)), "")
    if stem or len(word) < _TRUNCATED:
        return {stem: 1.0} if stem else {}
    begun = {frozenset(kinds) for whole, kinds in _known().items() if whole.startswith(word)}
    return dict.fromkeys(begun.pop(), 1.0) if len(begun) == 1 else {}


@cache
def _known() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for strength, table in ((0.5, _LIKELY), (1.0, _CERTAIN)):
        for category, text in table.items():
            for word in text.split():
                found.setdefault(word, {})[category] = strength
    return found


@cache
def _fillers() -> frozenset[str]:
    return frozenset(_FILLERS.split())


@cache
def persons_words() -> frozenset[str]:
    """What persons are called by what they are: customers, patients, members."""
    return frozenset(_PERSONS.split())
