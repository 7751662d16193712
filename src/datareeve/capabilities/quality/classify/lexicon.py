"""What columns are called that hold personal data, in many languages: patterns over a name's words, folded and separated by blanks.

`certain` names are enough where the values do not contradict; `likely` ones need values that fit, or a table about persons. Languages: English,
German, French, Spanish, Italian, Portuguese, Dutch, Polish, Swedish, Turkish, some Czech, Danish, Finnish; Russian, Chinese, Japanese and
Hindi as they are transliterated in schemas.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from datareeve.capabilities.quality.classify.field_names import CERTAIN_NAMES, LIKELY_NAMES
from datareeve.core.personal_data.words import fold, plain

_APART = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_GLUED = (  # words that are written together, apart: the longest first
    "firstname", "lastname", "surname", "fullname", "middlename", "maidenname", "username", "nickname", "displayname", "givenname", "familyname", "forename",
    "emailaddress", "emailaddr", "mailaddress", "streetaddress", "homeaddress", "birthdate", "birthday", "dateofbirth", "birthyear", "birthplace", "phonenumber", "phoneno",
    "telephone", "cellphone", "cardnumber", "creditcard", "cardholder", "accountnumber", "accountno", "ipaddress", "ipaddr", "macaddress", "macaddr", "useragent", "zipcode",
    "postalcode", "licenseplate", "passportnumber", "passwordhash", "apikey", "secretkey", "accesstoken", "refreshtoken", "sessionid", "deviceid", "jobtitle",
    "maritalstatus", "driverslicense", "policyholder",
)  # fmt: skip
_SPLIT = {
    "firstname": "first name", "lastname": "last name", "fullname": "full name", "middlename": "middle name", "maidenname": "maiden name",
    "username": "user name", "displayname": "display name", "givenname": "given name", "familyname": "family name", "emailaddress": "email address",
    "emailaddr": "email addr", "mailaddress": "mail address", "streetaddress": "street address", "homeaddress": "home address", "birthdate": "birth date",
    "dateofbirth": "date of birth", "birthyear": "birth year", "birthplace": "birth place", "phonenumber": "phone number", "phoneno": "phone no",
    "cellphone": "cell phone", "cardnumber": "card number", "creditcard": "credit card", "accountnumber": "account number", "accountno": "account no",
    "ipaddress": "ip address", "ipaddr": "ip addr", "macaddress": "mac address", "macaddr": "mac addr", "useragent": "user agent", "zipcode": "zip code",
    "postalcode": "postal code", "licenseplate": "license plate", "passportnumber": "passport number", "passwordhash": "password hash", "apikey": "api key",
    "secretkey": "secret key", "accesstoken": "access token", "refreshtoken": "refresh token", "sessionid": "session id", "deviceid": "device id",
    "jobtitle": "job title", "maritalstatus": "marital status", "driverslicense": "drivers license",
}  # fmt: skip


@lru_cache(maxsize=4096)
def told(name: str) -> str:
    """A name's words, folded: 'CustEMailAddr2' -> 'cust email addr 2'."""
    name = plain(name)
    name = re.sub(r"(?i)e[-_]?mail", lambda m: m[0][0] + "mail" if m[0].islower() else "Email", name)
    name = name.replace("ID", "Id").replace("IP", "Ip") if not name.isupper() else name
    parts = [fold(part) for part in _APART.findall(name if not name.isupper() else name.lower())]
    return " ".join(_SPLIT.get(part, part) for part in parts)


CERTAIN: dict[str, str] = {
    "name": r"(?:first|given|christian|fore|last|sur|family|middle|maiden|full|legal|preferred|birth|emboss|pax|citizen|pupil|student|patient|employee|person|customer|"
    r"cust|client|contact|owner|guest|insured|insd|rcpt|pod|acct? holder|acc holder|holder|card ?holder|account holder|driver|applicant|candidate|claimant|reviewer|father|mother|spouse|guardian|doctor|physician|"
    r"recipient|recip|sender|payee|payer|beneficiary|donor|member|voter|tenant|passenger|buyer|bidder|seller|agent|manager|attendee|subscriber|teacher|author real|resident|debtor|borrower|signatory|witness|suspect|victim|inmate|complainant|defendant|plaintiff) ?(?:first |last |full |s |complete )?(?:name|nm)s?|"
    r"(?:fore|sur)names?|firstnm|lastnm|fnm|lnm|[fl] ?name|m name|mname|f nm|l nm|middle initial|name (?:first|last|family|given)|(?:family|given) name\d?(?: prefix| \d)?|next of kin|nok|emergency contact|cardholder|card holder|account holder|"
    r"consignee|beneficiary|payee|name on card|mothers? maiden(?: name)?|author (?:first|last) name|insured|policy ?holder|claimant|applicant|guardian|occupant|testator|"
    r"\w*vorn?amen?|v ?name|rufname|nachname|\w*familienname|geburtsname|mädchenname|maedchenname|zuname|ansprechpartner\w*|kontoinhaber|karteninhaber|versicherungsnehmer|vn name|kundenname|mitarbeitername|erziehungsberechtigter?|hausarzt|sachbearbeiter|inhaber|patientenname|"
    r"prenoms?|nom de famille|nom famille|nom usage|nom naissance|nom complet|nom (?:du )?client|nom jeune fille|titulaire|beneficiaire|medecin traitant|interlocuteur|nom (?:et )?prenom|assure|"
    r"apellidos?(?: ?\d)?|(?:primer|segundo) (?:apellido|nombre)|nombres|nombre (?:de )?pila|nombre completo|nombre (?:del )?cliente|nombre y apellidos?|huesped|titular|destinatario|beneficiario|"
    r"cognomen?|nominativo|nome (?:completo|e cognome|cliente|utente completo)|cognome nome|intestatario|"
    r"sobrenome|apelido|ultimo nome|primeiro nome|nome (?:do )?(?:cliente|pai|mae|titular)|nome social|eleitor|"
    r"voorna(?:am|men)|achterna(?:am|men)|voorletters?|roepnaam|geboortenaam|volledige naam|klantnaam|meisjesnaam|contactpersoon|"
    r"imi(?:e|ona)|nazwisk[oa](?: \w+)?|imie i nazwisko|imie nazwisko|nazwisko rodowe|"
    r"(?:for|efter|tilltals)namn|fullstandigt namn|kontaktperson|fornavn|etternavn|efternavn|"
    r"soy(?:ad|isim|adi)|ad soyad|adi soyadi|musteri adi|isim soyisim|kizlik soyadi|"
    r"imya|imia|familiya|familija|otchestvo|fio|polnoe imya|jmeno|prijmeni|etunimi|sukunimi|keresztnev|vezeteknev|xing ?ming|zhongwen ming|shimei|kanji name|kana name|seimei|myoji|uji na|poora naam|pura naam|upnaam|kulnaam|real name|halter\w*|actor name|pib|onoma|eponymo|onomateponymo|ism|nume(?: complet)?|prenume|fornavne?|slaegtsnavn|mellannamn|szuletesi nev|csaladi ?nev|tulajdonos|poln imya|polnoye imya|teljes nev|anyja neve|imya (?:i )?familiya|name (?:kanji|kana|katakana|furigana)|furigana|forenames|christian names?|surnames?|(?:mr|mgr|emp|stu|std|usr|cst|pat|ctc|cnt|own|ben|benef|ec|drv|spons) ?(?:first |last )?(?:name|nm)|badge holder|athlete|complainant|trader|legal representative|geschaeftsfuehrer|representant legal|responsable|encargado|verantwortlicher|bearbeiter|empfaenger name|absender name|mieter|vermieter|locataire|proprietaire|propietario|proprietario|eigenaar|eigentuemer|wlasciciel|agare|sahibi",
    "username": r"user ?name|user ?login|login(?: ?name)?|login ?id|nick(?: ?name)?|nicename|user nicename|screen ?name|gamer ?tag|player ?tag|user handle|user(?: )?id name|benutzername|nutzername|anmeldename|nom (?:d )?utilisateur|identifiant(?: connexion)?|pseudo|"
    r"nombre (?:de )?usuario|nome (?:de )?(?:utente|usuario)|gebruikersnaam|nazwa uzytkownika|anvandarnamn|kullanici ad[i]?|sam ?account ?name|upn|frequent flyer(?: (?:no|number|id))?",
    "email": r"(?:\w+ )*e?mail(?: ?(?:address|addr|adr|adresse?|id|addresses|adres|from|to|primary|work|home|private|personal|business|contact|\d))?|mel|eml|(?:from|to|cc|bcc|reply to) address(?:es)?|mail ?adress\w*|courriel|adresse (?:e?mail|courriel|electronique)|correo(?: electronico| e)?|posta elettronica|"
    r"indirizzo e?mail|correio(?: eletronico)?|endereco eletronico|adres e?mail|poczta(?: elektroniczna)?|epost(?:adress)?|e post(?:adress)?|e ?posta(?: adresi)?|pochta|elektronnaya pochta|youxiang|dianzi youjian|meru|mail adresu|sahkoposti(?:osoite)?|elektronicka posta|ilmeilo|hdyt|drejtim email|adresa (?:de )?email|adresse de messagerie|messagerie|imeil|correos?|emailid|mail ?id",
    "phone": r"(?:\w+ )*(?:tele)?(?:phone|fon|telefono?|telefone?|telephone|telefoon|telefonu)s?(?: ?(?:no|nr|num|number|nummer|numero|numarasi|nbr|privat|private|home|work|mobile|mobil|movil|portable|cell|office|day|evening|\d|dienstlich|geschaeftlich|fixe|fijo|celular))?|"
    r"(?:home |work |office |primary |contact |private |business |guardian )?(?:mobile|cell|cellular|mob)(?: ?(?:no|nr|number|phone|\d))?|tel(?: ?(?:no|nr|num|home|work|mobile|mobil|portable|privat|\d))?|\w+ (?:tel|mobile|cell|fax)(?: ?\d)?|ph(?: ?no)?|fax(?: ?(?:no|nr|number|nummer|numero))?|direct dial|msisdn|calling (?:no|number)|called (?:no|number)|caller(?: id| number)?|dialed number|whats ?app(?: number)?|"
    r"tel port(?:able)?|tel (?:vast|gesch|fixe|mob|fijo|home)|tfno(?: \w+)?|tlf|telefonnummer|telefonnr|telefoonn(?:r|ummer)|mobiln(?:r|ummer)|mobil(?:telefon)?|handy(?:nummer|nr)?|rufnummer|durchwahl|notfallnummer|festnetz|portable|gsm(?: ?(?:no|nr))?|movil|celular|cellulare|telemovel|mobiel(?: ?nummer)?|komorka|numer telefonu|nr telefonu|nr tel|tel domowy|cep (?:tel\w*|no)|denwa(?: bango)?|keitai|dianhua|shouji(?: hao)?|mobile? number|puhelin(?:numero)?|telefon(?:szam)?|mobilni|jawwal|tilefono|kinito|puhelinnumero|telefonszam|mobilszam|telefonnummer \w+|kontaktnummer|numero (?:de )?(?:tel\w*|celular|movil|mobile|portable)|nr (?:tel\w*|mobil\w*|komorkowy)|tel no|mob no|contact (?:no|num|number)|hand phone|hp no|keitai bango|cel(?: no)?|contact ?(?:no|num|number|nbr)|contactno",
    "address": r"(?:\w+ )*(?:street|addr|address|adr|adres|adresse|adress|anschrift|adressline)(?: ?(?:line)? ?\d| line| address| name| addr| nr| no| lieferung| livraison| \w+ung)?|street(?: (?:name|no|number|and number|\d))?|address (?:line ?)?\d?|(?:house|apartment|apt|flat|unit)(?: ?(?:no|nr|number))|(?:\w*)stra(?:ss|ß)e(?:\w*)?(?: ?(?:nr|hausnr|hausnummer))?|hausn(?:r|ummer)|hausnummer|"
    r"wohnanschrift|lieferadresse|rechnungsadresse|wohnadresse|postfach|rue(?: \w+)?|voie|numero rue|adresse (?:ligne )?\d?|adresse (?:postale|livraison|facturation|domicile)|domicile|complement adresse|"
    r"direccion(?: (?:\d|postal|envio|facturacion|residencia|entrega))?|calle(?: y numero)?|domicilio|indirizzo(?: \w+)?|residenza|endereco(?: \w+)?|logradouro|rua|bairro|morada|complemento|"
    r"(?:woon|post|straat|factuur|aflever)?adres|straat(?:naam)?|huisnummer|huisnr|domic|ind res|adr ?\d|ulica(?: nr)?|nr domu|adres \w+|gatu?a?adress|gata|postadress|hemadress|leveransadress|adres[i]?|sokak|cadde|mahalle|ulitsa|adres prozhivaniya|bydliste|ulice|jusho|dizhi|zhuzhi|pata|residence(?: address)?|deliver to|(?:ship|bill) ?to(?: address)?|barangay|dieuthynsi|katuosoite|osoite|vejnavn|husnr|cim|lakcim|utca|hazszam|ulice a cislo|adresa(?: \w+)?|strada|juso|addr(?:ess)? ?(?:detail|full|text)|full address|sokkelo|wohnung|hausanschrift|street ?(?:1|2|line)|endereco completo|num(?:ero)? (?:casa|civico|exterior|interior)|colonia|nr domu(?: lokalu)?|mailing addr\w*|premise address|postal address",
    "postcode": r"(?:\w+ )*(?:zip(?: ?(?:code|cd))?|post(?:al)? ?(?:code|cd)|plz|postleitzahl|code postal|codepostal|cpostal|cap res|cp|codigo postal|cod postal|kod pocztowy|postnummer|postnr|posta kodu|cep|codice postale|postcode|pincode|pin code|psc|yubin(?: bango)?|youbian|postikoodi|indeks pochtovyi|iranyitoszam)(?: \w+)?|zip ?\d?|postinumero|iranyitoszam|tk|taxydromikos kodikas|cod postal|postnr by|kod pocztowy \w+|post ?kod|post ?nr",
    "date-of-birth": r"(?:\w+ )*(?:birth ?(?:date|day|dt)|date (?:of )?birth|dob|d o b|bday|bdate|bdt|birthday|birth (?:year|month|yr)|year of birth|yob|born(?: on| at| date| year)?|birth)|geb(?:urts)?(?: ?(?:datum|dat|tag|dt|jahr))|geb|gebdat\w*|geburt\w*datum|geburtstag|geburtsjahr|geburtsdatum|\w* ?geb dat|"
    r"date (?:de )?naissance|naissance|ddn|datenaissance|annee naissance|ne le|fecha (?:de )?(?:nacimiento|nac)|f nac\w*|fec nac\w*|nacimiento|cumpleanos|data (?:di |de )?(?:nascita|nascimento)|dt (?:nasc\w*)|nascimento|nato il|nascita|aniversario|"
    r"geboorte(?:datum|dag|jaar)|gebdatum|data urodzenia|data ur|rok urodzenia|urodzony|fodelse(?:datum|dag|ar)|fodd|dogum(?: ?(?:tarihi|gunu|yili))|data rozhdeniya|den rozhdeniya|datum narozeni|fodselsdato|syntymaaika|seinengappi|tanjobi|shengri|chusheng riqi|janm tithi|janma tithi|data rozhd\w*|szuletesi (?:datum|ido|ev)|szul datum|hmerominia gennisis|data nasterii|fodselsdag|fodt|syntymapaiva|dt nascim\w*|data narodzhennya|sheng ri|saengnyeonworil|birth ymd|dob (?:date|year|month|day)|nacido(?: el)?|f nacto",
    "date-of-death": r"(?:date (?:of )?)?death(?: ?(?:date|dt))?|date deceased|deceased(?: (?:on|at|date))?|died(?: on| at)?|dod|dead|todesdatum|sterbedatum|verstorben(?: am)?|date (?:de )?deces|deces|fecha (?:de )?(?:defuncion|fallecimiento)|data (?:di )?morte|data obito|obito|overlijdensdatum|data zgonu|dodsdatum|olum tarihi",
    "age": r"(?:\w+ )?age(?: (?:years|in years|at \w+))?|alter(?: jahre)?|lebensalter|edad|eta|idade|leeftijd|wiek|alder|yas|vozrast|nianling|nenrei|umar|aayu",
    "birth-place": r"(?:place (?:of )?birth|birth ?(?:place|city|town|country|location)|pob|city of birth|country of birth|geburts(?:ort|land|stadt)|lieu (?:de )?naissance|ville naissance|pays naissance|lugar (?:de )?nacimiento|comune (?:di )?nascita|luogo (?:di )?nascita|provincia nascita|local (?:de )?nascimento|naturalidade|geboorteplaats|geboorteland|miejsce urodzenia|fodelseort|dogum yeri|mesto rozhdeniya|misto narozeni|shusseichi|chushengdi)",
    "gender": r"(?:\w+ )?(?:gender|sex|gndr)(?: ?(?:code|cd|identity|at birth|assigned at birth))?|salutation|title of courtesy|courtesy title|honorific|pronouns?|geschlecht|anrede|sexe|civilite|sexo|genero|tratamiento|sesso|genere|geslacht|aanhef|plec|kon|cinsiyet|pohlavi|seibetsu|xingbie|ling|kjonn|sukupuoli|pol|nem|sukupuoli|fylo|gen|spol|stat kelamin|jenis kelamin|seongbyeol",
    "marital-status": r"(?:marital|civil|family|relationship)(?: ?(?:status|state|sts))?|married|spouse|no of (?:children|dependents)|(?:num|number of) (?:children|dependents)|children|dependents|familienstand|kinderzahl|etat civil|situation (?:familiale|matrimoniale)|nb enfants|estado civil|stato civile|burgerlijke (?:staat|stand)|burgerlijke|stan cywilny|civilstand|medeni (?:hal|durum)|semeinoe polozhenie|rodinny stav|hunyin|konin|filing status|kinder|anzahl kinder|kids|num kids|csaladi allapot|oikogeneiaki katastasi|sivilstand|aviosaaty|relationship(?: to \w+)?|parentesco|beziehung",
    "nationality": r"(?:\w+ )?(?:nationality|citizenship|nationalities|nationalitaet|nationalitat|nationalite|nacionalidad|nazionalita|nacionalidade|nationaliteit|nationalitet)(?: ?(?:code|id))?|country of citizenship|citizen of|staats(?:angehoerigkeit|angehorigkeit|buergerschaft|ang)|staatsang\w*|cittadinanza|ciudadania|cidadania|obywatelstwo|medborgarskap|uyruk|uyrugu|grazhdanstvo|statni obcanstvi|kokuseki|guoji|immigration status|visa status|residence permit(?: \w+)?|country (?:of )?(?:origin|birth citizenship)|herkunftsland|pays (?:d )?origine|pais (?:de )?origen|kansalaisuus|allampolgarsag|statsborgerskap|narodnost|cittadino|citizenship cntry|citizenship country|ctzn cntry|country citizenship",
    "national-id": r"ssn(?: ?(?:id|no|num|number|last ?4|last four))?|soc(?:ial)? sec(?:urity)?(?: ?(?:no|num|nr|number))?|sin(?: (?:no|number|id))|sinid|ssnid|nat(?:iona)?l (?:id|insurance|identity|identification|ident|ins)(?: ?(?:no|num|number|nr|card|id))*|nino|nin|identity (?:no|number|card|document)(?: no| number)?|id (?:card|document)(?: ?(?:no|number))?|identification (?:id|no|number)|personal (?:id|number|code|identity)(?: ?(?:no|number|code))?|citizen(?:ship)? (?:id|no|number)|aadhaa?r(?: ?(?:no|number))?|curp|voter id(?: ?(?:no|number))?|"
    r"sozialversicherungs(?:nummer|nr)|sv ?(?:nr|nummer)|rentenversicherungsnummer|personalausweis\w*|ausweis(?: ?id)?|ahv(?: ?(?:nr|nummer))?|"
    r"nir|(?:num|numero|no) (?:de )?secu\w*(?: sociale)?|numero (?:de )?securite sociale|insee|dni|nie|nif|cedula(?: \w+)?|documento(?: (?:de )?identidad)?|num(?:ero)? documento|rut|run|nuss|seguridad social|"
    r"codice fiscale|cod fiscale|codfisc|cod fisc|cpf|rg|titulo (?:de )?eleitor|titulo|nis|pis(?: pasep)?|bsn|burgerservicenummer|sofi ?nummer|rijksregisternummer|pesel|nr pesel|numer pesel|personnummer|pnr|nr cpf|cpf nr|person ?nr|samordningsnummer|fodselsnummer|cpr(?: ?(?:nr|nummer))?|hetu|henkilotunnus|tc ?kimlik(?: ?no)?|tckn|tc no|kimlik(?: ?no)?|rodne cislo|cnp|egn|oib|amka|snils|shenfenzheng(?: ?hao)?|sfz|my ?number|nric|nik|ktp|pps(?: ?(?:no|number))?|ni (?:no|num|number)|n i (?:no|number)|num ss|nss|no ss|id card(?: (?:no|number))?|sfz ?(?:hao|no)?|jumin(?: \w+)?|resident (?:no|registration(?: number)?)|snils|personas kods|isikukood|asmens kodas|egn|jmbg|emso|taj(?: szam)?|adoazonosito|nin number|ci number|identidad|num identidad|identity doc\w*|fiscal code",
    "tax-id": r"(?:personal )?tax(?:payer)? ?(?:id|no|num|number|identification number|code|ref|file number)(?: ?(?:no|number))?|tin|itin|utr|tfn|taxvat|steuer(?: ?(?:id|idnr|nr|nummer|identifikationsnummer))|steuer idnr|steueridnr?|idnr|steuernummer|numero fiscal|num fiscal|identifiant fiscal|rfc|cuil|codice fiscale|contribuinte|nip pracownika|vergi(?: kimlik)? no|inn|pan (?:card|no)(?: ?(?:no|number))?",
    "passport": r"(?:\w+ )?passport(?: ?(?:no|num|number|id|nr|series))?|visa (?:no|number)|(?:reise)?pass(?:nummer|nr|port\w*)|ausweis(?:nr|nummer)|num(?:ero)? (?:de )?(?:passeport|pasaporte)|passeport|pasaporte|num pasaporte|passaporto|num(?:ero)? passaporto|passaporte|paspoort(?:nummer|nr)?|(?:nr|numer) paszportu|paszport|pasaport(?: ?no)?|dowod(?: osobisty)?|seria dowodu|carte identite|cni|carta (?:d )?identita|identiteitskaart|cislo pasu|passinumero|huzhao|huzhaohao|document (?:no|number)|doc (?:no|number|num)|travel document(?: \w+)?|id document(?: \w+)?|num doc\w*|nro documento|numero documento|tipo documento numero",
    "driving-licence": r"(?:driv(?:er|ers|ing) ?)?(?:s )?licen[cs]e ?(?:no|num|number|nr|id)|driv(?:er|ers|ing) (?:s )?licen[cs]e(?: ?(?:no|num|number|id))?|dl (?:no|num|number)|dln|fuehrerschein\w*|fuhrerschein\w*|permis(?: (?:de )?conduire)?|num permis|licencia (?:de )?conducir|patente|num patente|cnh|carta conducao|rijbewijs(?:nummer|nr)?|prawo jazdy|korkort(?:snummer)?|ehliyet(?: no)?|ridicsky prukaz|prava nomer",
    "health-insurance-id": r"(?:health )?insurance (?:member )?(?:id|no|num|number)|health insurance(?: \w+)?|(?:insurance|insurer|plan) member(?: (?:id|no|number))?|(?:medicare|medicaid|nhs|ohip|hicn|mbi)(?: ?(?:no|num|number|id))?|subscriber id|member ?ship ?id health|health ?(?:plan|card)(?: \w+)* (?:id|no|number)|beneficiary (?:id|no|number)|insured id|(?:kranken)?versicherten(?: ?(?:nr|nummer|id))|krankenversicherungs?(?:nummer|nr)|kvnr|egk\w*|num(?:ero)? mutuelle|carte vitale|tarjeta sanitaria|num afiliado|tessera sanitaria|cartao sus|cns|sgk no|hoken(?:sho)? bango|polisnummer zorg",
    "patient-id": r"mrn|medical record(?: ?(?:no|num|number|id))?|med rec (?:no|num)|patient ?(?:no|num|nr|number|identifier|code|mrn)|pat (?:nr|no|num)|hospital (?:no|number)|chart (?:no|number)|ipp|nip patient|patienten(?:nummer|nr)|fallnummer|numero patient|num paciente|historia clinica|num historia|cartella clinica|prontuario|patientnummer|nr pacjenta|hasta no|empi|nhc|num historia clinica|mrn no|kartennummer patient|numero dossier patient|ipp patient|hasta numarasi|karta pacjenta",
    "bank-account": r"(?:\w+ )?iban(?: ?(?:no|num|number|nr|code))?|(?:bank|checking|savings|chequing) ?(?:account|acct)(?: ?(?:no|num|number|nr))?|bank acc|acc(?:oun)?t ?(?:no|num|number|nr) bank|acc number|konto(?: ?(?:nr|nummer))|kontonummer|kontonr|bankkonto|bankverbindung|rib|compte bancaire|num(?:ero)? (?:de )?compte|cuenta (?:bancaria|corriente)|num(?:ero)? (?:de )?cuenta|clabe|cbu|conto (?:corrente|bancario)|conta(?: (?:corrente|bancaria|poupanca))?|rekening(?:nummer|nr)?|(?:nr|numer) (?:konta|rachunku)|rachunek(?: bankowy)?|kontonummer|bankgiro|hesap(?: no| numarasi)|nomer scheta|cislo uctu|kouza(?: bango)?|routing and account|beneficiary account|payee account",
    "card-number": r"(?:credit|debit|payment|bank|cc|ccard)? ?card ?(?:no|num|number|nr|pan)|(?:credit|debit) ?card|cc ?(?:no|num|number|nr)|ccn|pan|primary account number|karten?(?:nummer|nr)|kreditkarte(?:n\w*)?|num(?:ero)? (?:de )?(?:carte|tarjeta|carta|cartao)|carte (?:bancaire|credit|bleue)|tarjeta(?: (?:de )?credito)?|carta (?:di )?credito|cartao(?: (?:de )?credito)?|kaartnummer|creditcard(?:nummer)?|(?:nr|numer) karty|karta|kortnummer|kreditkort|kart (?:no|numarasi)|nomer karty|cislo karty|kado bango",
    "card-security-code": r"(?:card )?(?:cvv|cvc|cvn|cid|csc|cvv2|cvc2|cvv 2|cvc 2)(?: ?(?:code|no))?|card (?:cvv|cvc|pin|security|verification)\w*(?: code| value)?|security code|card verification(?: \w+)?|pruefziffer karte|pin (?:code|block|hash|offset)|code (?:securite|verification) carte|codigo (?:de )?seguridad|codice (?:di )?sicurezza|codigo seguranca|track ?[12]?(?: data)",
    "card-expiry": r"exp(?:iry)? (?:yymm|yyyymm|mmyyyy)|(?:card|cc|credit card) ?(?:exp\w*|valid\w*)(?: ?(?:date|month|year|dt|thru|until))?|exp(?:iry|iration)? ?(?:month|year|mm|yy|mmyy|my)|valid (?:thru|through)|expiration card|karten? ?(?:gueltig|ablauf)\w*|gueltig bis karte|date expiration carte|caducidad(?: tarjeta)?|scadenza carta|validade cartao",
    "bank-code": r"bic(?: ?(?:code|swift))?|swift(?: ?(?:code|bic))?|bic swift",
    "income": r"(?:\w+ )*(?:salary|salaries|wage|wages|income|compensation|remuneration|payrate|pay rate|hourly rate|net pay|gross pay|annual pay|base pay|take home|bonus|severance|net worth|credit score|creditworthiness|fico|schufa)(?: ?(?:amount|usd|eur|gross|net|year|annual|month|monthly|grade|band|expectation))?|(?:gross|net|base|annual|monthly|weekly) (?:pay|earnings)|earnings|"
    r"(?:brutto|netto|grund|monats|jahres)?gehalt|(?:brutto|netto|stunden)?lohn|einkommen|verguetung|salaires?(?: \w+)?|remuneration(?: \w+)?|revenus?(?: annuels?| mensuels?)|salario(?: \w+)?|sueldo(?: \w+)?|nomina|ingresos|stipendio(?: \w+)?|retribuzione|reddito|remuneracao|renda(?: \w+)?|vencimento base|salaris|loon|brutoloon|inkomen|wynagrodzenie(?: \w+)?|pensja(?: \w+)?|placa|zarobki|(?:manads?|arsl|tim)lon|inkomst|maas(?: \w+)?|ucret|zarplata|oklad|plat|mzda|xinzi|gongzi|kyuyo|nenshu|vetan|net a payer|gehaltswunsch|wunschgehalt|lohnsumme|agi|adjusted gross income|base sal\w*|bonus amt|(?:opening|closing|current|available|account) bal(?:ance)?|saldo|fizetes|palkka|mistho\w*|venituri?|ctc|take home pay|pay (?:amount|amt|rate)|annual (?:comp|compensation)|hourly wage|salary \w+|pension(?: amount)?|debt(?: amount)?|net income|household income|oklad|stawka|(?:monthly|annual|yearly|household|net|gross|mthly|mth|ann) inc|inc(?:ome)? (?:monthly|annual|amt|amount)",
    "password": r"(?:\w+ )*(?:password|passwd|pwd|passwort|kennwort|passphrase|pass ?word|passcode|pw)(?: ?(?:hash|hashed|digest|salt|enc|encrypted|md5|sha|sha1|sha256|bcrypt|crypt|\d))?|user pass|pass(?: ?(?:hash|digest|salt|crypt))?|hashed pass\w*|(?:password |pw |pwd )?salt|(?:secret|security) (?:question|answer|qa)(?: \d| hash)?|pin(?: hash| code)?|mot (?:de )?passe|mdp|contrasena|contrasenia|clave(?: acceso)?|senha|wachtwoord|haslo|losenord|sifre|parola|parol|heslo|salasana|mima|pasuwado",
    "secret": r"(?:\w+ )*(?:token|secret|api ?key|apikey|access key|private key|secret key|client secret|signing key|auth key|activation key|session key|encryption key|ssh key|jwt|bearer|otp|mfa|totp|2fa|credential|credentials|recovery codes?|backup codes?|consumer key|webhook secret|refresh|auth code|rp token|key hash|truncated key|keystore|puk)(?: ?(?:hash|value|key|digest|secret|seed|enc|encrypted|token|base32|code|codes))?",
    "ip-address": r"(?:\w+ )*ip(?: ?(?:address|addr|adresse|v4|v6|adr|adres|adress))?|remote (?:addr|address|host|ip)|x forwarded for|client addr|adresse ip|direccion ip|indirizzo ip|endereco ip|ip adresi|(?:\w+ )*ip v ?\d",
    "device-id": r"(?:\w+ )*(?:mac(?: ?(?:addr|address|adresse))?|imei|imsi|iccid|meid|esn|udid|idfa|idfv|gaid|aaid|adid|advertising id|ad id|android id|device (?:id|identifier|uuid|fingerprint|token|serial)|hardware id|hwid|vendor id ios|installation id|install id|push token|fcm token|apns token|bluetooth addr\w*)(?: ?(?:\d|hash|no|number))?|wifi mac|geraete ?id|device mac",
    "online-id": r"(?:\w+ )*(?:cookie|cookies|session ?(?:id|key|cookie|uuid|token|hash)|visitor ?(?:id|uuid|cookie|key)|tracking (?:id|cookie)|browser ?(?:id|fingerprint)|fingerprint ?id|anonymous ?id|client ?id ga|ga (?:client )?id|gclid|fbclid|fbp|distinct ?id|phpsessid|jsessionid|sessid|sid cookie)(?: ?(?:id|hash|value))?",
    "user-agent": r"(?:\w+ )*(?:user ?agent|ua(?: ?(?:string|str|raw))?|browser(?: ?(?:agent|string|ua))?|comment agent|http agent|navegador|navigateur)(?: ?(?:string|raw|hash))?|agent",
    "vehicle-id": r"(?:\w+ )*(?:vin(?: ?(?:no|num|number|code))?|licen[cs]e plate|number plate|plate(?: ?(?:no|num|number))?|reg(?:istration)? plate|vehicle (?:reg\w*|identification)(?: ?(?:no|number|mark))?|vrm|vrn|chassis(?: ?(?:no|number))?|kfz ?kennzeichen|kennzeichen|amtl kennzeichen|fahrgestell(?:nr|nummer)|fin|immatriculation|plaque|numero chassis|matricula (?:vehiculo|coche)|bastidor|targa|telaio|placa|chassi|kenteken|nr rejestracyjny|numer rejestracyjny|registreringsnummer|regnr|chassinummer|plaka|sasi no|gosnomer|spz|chepaihao)|kfz kz|kz|amtliches kennzeichen|vehicle (?:no|number|plate)|car (?:no|plate|number|reg\w*)|reg plate|veh (?:vin|plate|reg)|van reg|rendszam|rekisterinumero|registrace|numberplate|tag number",
    "health": r"(?:\w+ )*(?:(?:absence|sickness|sick leave|fehlzeit\w*) (?:reason|cause|grund|note|notes)|diagnos[ei]s|diagnosed|diagnose|diagnoses|diagnostic|diagnostico|diagnosi|diagnostik|diagnos|diagnoza|icd(?: ?(?:10|9|11|o|code|10 code|9 code|cm))*|dx(?: ?(?:code|text|date))?|disease|illness|medical (?:condition|history|notes|status)|health (?:condition|status|notes|issue|data|record)|symptoms?|allerg\w*|blood ?(?:type|group|pressure|sugar)|medications?|prescriptions?|prescribed|drug(?: ?(?:name|code))?|ndc(?: code)?|treatment|therapy|vaccin\w*|immuni[sz]ation|disabilit\w*|disabled|handicap|pregnan\w*|smoker|smoking(?: status)?|bmi|heart ?rate|blutgruppe|blutdruck|krankheit|erkrankung|vorerkrankung\w*|befund|schwerbehindert\w*|behinderung|krankmeldung|medikament\w*|antecedents|maladie|groupe sanguin|medicament\w*|traitement|handicape?|enfermedad|grupo sanguineo|alergias?|medicamento|discapacidad|embarazo|malattia|gruppo sanguigno|farmaco|terapia|disabilita|doenca|tipo sanguineo|medicacao|deficiencia|aandoening|ziekte|bloedgroep|medicatie|rozpoznanie|choroba|grupa krwi|lek|niepelnosprawnosc|sjukdom|blodgrupp|lakemedel|tani|teshis|kan grubu|hastalik|ilac|diagnoz|gruppa krovi|krevni skupina|zhenduan|xuexing|ketsueki ?gata|byomei|shindan|cause of death|injury|injuries|sick (?:leave|days|note)(?: hours)?|sen status|lab result|test result|result value|chief complaint|vitals?|surgery|surgical \w+|hiv(?: \w+)?|mental \w+|cpt(?: code)?|weight kg patient|height cm|weight kg|sleep min|steps|onset|birth weight|body ?fat|(?:resting |max |avg )?(?:hr|pulse|spo ?2)|(?:blood )?glucose|cholesterol|systolic|diastolic)(?: ?(?:code|text|name|desc|description|notes?|cd|date|\d+))?|(?:bp|blood pressure) ?(?:systolic|diastolic|sys|dia)?|systolic|diastolic|pulse(?: rate)?|spo 2|oxygen saturation|glucose|hba ?1 ?c|cholesterol|body temp\w*|temp c|temperature c|respiratory rate|grupo sang\w*|vaccine(?: \w+)?|vaccination \w+|given on|administered (?:on|at|by)|iep|special needs|dietary(?: \w+)?|food allerg\w*|medical certificate|sick note|care level|pflegegrad|gdb|handicap\w*|tension(?: arterielle)?|poids|taille patient|weight g|apgar|gravida|para|lmp|triage\w*|anamnes\w*|epikris\w*|aids|covid \w+|therapie|behandlung|medikation|dosierung|wirkstoff|krankenstand|fehlzeiten krank|motif (?:consultation|hospitalisation)|enfermedades|patologia\w*|vacuna\w*|vaccino|vacina|szczepienie|leki|krankheiten|illnesses",
    "biometric": r"(?:\w+ )*(?:finger ?prints?|thumb ?prints?|face (?:embedding|encoding|template|vector|id|descriptor)|facial \w+|iris(?: ?(?:scan|code|template))?|retina(?: scan)?|voice ?(?:print|sample|template)|palm print|biometrics?|bio template|fingerabdruck|empreinte(?: digitale)?|huella(?: dactilar)?|impronta(?: digitale)?|impressao digital|vingerafdruk|odcisk palca|fingeravtryck|parmak izi|gait \w+)(?: ?(?:template|hash|scan|data|image|left|right|vector))?",
    "genetic": r"(?:\w+ )*(?:dna|genome|genotype|genetic\w*|gene|genes|variant|snp|haplotype|karyotype|mutation|allele|rs ?id)(?: ?(?:seq|sequence|profile|data|marker|name))?",
    "religion": r"(?:\w+ )?(?:religion\w*|religious \w+|faith|denomination|konfession|religione|religiao|geloof|kerkgenootschap|wyznanie|religia|trossamfund|din|dini|veroispovedanie|nabozenstvi|zongjiao|shukyo|dharm|church|kirchensteuer\w*|religionszugehoerigkeit|bekenntnis|creed|caste)(?: ?(?:code|id|name))?",
    "ethnicity": r"(?:\w+ )?(?:ethnicity|ethnic(?: ?(?:group|origin|background|code))?|race|racial \w+|ethnie|origine ethnique|etnia|raca(?: cor)?|cor raca|raza|razza|etniciteit|etnische \w+|pochodzenie etniczne|etnicitet|etnik koken|irk|natsionalnost|minzu|tribe|ethnische herkunft|herkunft|hispanic|indigenous)(?: ?(?:code|id|desc|name))?",
    "political-opinion": r"(?:\w+ )?(?:political (?:\w+)|politics|party (?:affiliation|membership|registration)|voter party|registered party|party ?zugehoerigkeit|partei\w*|parti politique|partido(?: politico)?|partito|afiliacion politica|filiacao partidaria|politieke \w+|poglady polityczne|politisk \w+|siyasi \w+|vote choice|voted for|opinion politique)",
    "union-membership": r"(?:\w+ )?(?:(?:trade |labou?r )?union(?: ?(?:member|membership|name|id|code|dues|local))?|trade union|is union member|gewerkschaft\w*|syndicat|syndique|sindicato|sindicalizado|afiliacion sindical|sindacato|vakbond\w*|zwiazek zawodowy|fackforbund|fackmedlem|sendika\w*|profsoyuz)",
    "sexual-orientation": r"(?:\w+ )?(?:sexual (?:orientation|preference|identity|\w+)|orientation|sexuality|sexuelle orientierung|orientation sexuelle|orientacion sexual|orientamento sessuale|orientacao sexual|seksuele (?:voorkeur|orientatie|geaardheid)|orientacja seksualna|sexuell laggning|cinsel yonelim|lgbtq?\w*)",
    "criminal-record": r"(?:\w+ )?(?:criminal (?:\w+)|convictions?|convicted(?: of)?|offen[cs]es?(?: \w+)?|felon\w*|misdemeanor\w*|arrests?|arrest record|charges filed|sentence(?: (?:months|years|length|\w+))?|probation\w*|vorstrafen?|straftat\w*|fuehrungszeugnis|casier(?: judiciaire)?|condamnations?|antecedentes (?:penales|criminales)|precedenti penali|condanne|antecedentes|strafblad|veroordeling\w*|karalnosc|brottsregister|sabika(?: kaydi)?|sudimost|dbs check result)",
    "photo": r"(?:\w+ )*(?:avatar|photo|foto|portrait|selfie|headshot|mugshot|profile (?:pic|picture|image|photo)|user (?:image|picture|photo)|face (?:image|photo)|passport photo|lichtbild|profilbild|passfoto|photographie|photo identite|fotografia|fotografie|resim|profil(?:e)? (?:pic|resmi)|zdjecie|profielfoto)(?: ?(?:url|path|file|file name|filename|uri|link|img|remote url|image|blob))?|pic(?:ture)? url|gravatar",
    "signature": r"(?:\w+ )*(?:signature(?: ?(?:image|img|scan|blob|data|png|svg|client|file))?|signed image|sign img|unterschrift|firma (?:digitalizada|imagen|cliente)|firma digitale immagine|assinatura|handtekening|podpis|namnteckning|underskrift|imza)",
    "social-profile": r"(?:\w+ )*(?:facebook|twitter|linked ?in|linkedin|instagram|tiktok|skype|telegram|whatsapp|wechat|xing|vk|snapchat|discord|github|mastodon|social media|youtube)(?: ?(?:id|handle|tag|nick|uid|no|number|url|profile|name|user|username|link|account|page|profile url|screen name))?|(?:user|author|profile|personal) (?:url|website|page|web)|comment author url|profile (?:url|link)",
    "location": r"(?:home|user|customer|client|person|last|current|driver|rider|patient|member|check in|pickup|dropoff|partner) (?:lat(?:itude)?|lon(?:gitude)?|lng|location|coordinates?|geo|position|latlng|lat lng)|last known (?:location|position)|geo ?location|home coordinates?|spatial location|(?:drop|drop off|delivery|pick up) (?:lat(?:itude)?|lon(?:gitude)?|lng|location|coordinates?)",
    "employment": r"job(?: ?(?:title|role|position|function|description|name))|occupation|profession|contact title|beruf|berufsbezeichnung|stellenbezeichnung|position titel|metier|profession(?: \w+)?|poste(?: occupe)?|fonction|profesion|ocupacion|cargo|puesto|professione|mansione|qualifica|profissao|ocupacao|beroep|functie|functietitel|zawod|stanowisko|yrke|befattning|meslek|unvan|dolzhnost|professiya|povolani|zhiye|zhiwei|shokugyo|performance (?:rating|review|score)|appraisal (?:score|rating)|(?:termination|dismissal) (?:date|reason)|reason for leaving|vacation hours|salaried flag|employment (?:status|type|history)|employer(?: name)?|emplr(?: name)?|work history|perf(?:ormance)? (?:rtg|rating|score|review)|(?:review|appraisal|evaluation) (?:rating|score|result|notes)|mgr cmts|(?:current |previous )?employer\w*|arbeitgeber|employeur|empleador|datore (?:di )?lavoro|werkgever|pracodawca|arbetsgivare|isveren",
    "education": r"(?:final |exam |test |grade |mark )?(?:gpa|grade point average|exam (?:score|result|mark|grade)|sat score|degree|degrees|academic degree|education(?: level)?|qualification|alma mater|diploma|transcript)|grade(?: avg| average)?|mark|marks|abschluss(?:note)?|pruefungsnote|zeugnisnote|schulnote|note(?: (?:examen|finale|moyenne))|moyenne generale|diplome|nota(?: (?:media|final|examen))|calificacion|titulacion|titolo (?:di )?studio|voto|escolaridade|grau instrucao|cijfer|opleiding|ocena|wyksztalcenie|betyg|utbildning|mezuniyet|not ortalamasi|egitim (?:durumu)?|moyenne|moyenne \w+|prueba nota|promedio|gpa \w+|exam marks?|zensur|punkte pruefung|average grade",
    "free-text": r"(?:\w+ )*(?:notes?|comments?|remarks?|bemerkung(?:en)?|notiz(?:en)?|anmerkung(?:en)?|kommentar(?:e|er)?|commentaires?|remarques?|observaciones|observacao|observacoes|comentarios?|osservazioni|note libere|opmerking(?:en)?|notities|uwagi|komentarz\w*|anteckning(?:ar)?|notlar|aciklamalar|biography|bio(?: raw)?|about me|cv(?: text)?|resume(?: text)?|transcript|feedback|testimony|statement|message(?: ?(?:body|text|content))?|chat|narrative text|case notes|zametki|poznamky?|beizhu|biko|tippani)",
    "document": r"$^",
}
LIKELY: dict[str, str] = {
    "name": r"(?:\w+ )?(?:name|names|nombre|nome|nom|naam|namn|nimi|ime|jmeno|ad|adi|isim|naam|vorn|nachn|fnamn|enamn|first|last|given|family|nm|byline|head of \w+|sei|mei|na mae|namae|mingzi|xing|ming|navn|nazev)\d?|(?:\w+ )*(?:contact|person|owner|customer|client|patient|guest|driver|recipient|receiver|sender|buyer|seller|consignor|shipper contact|reviewer|examiner|doctor|physician|clinician|candidate|beneficiary|subscriber|director|author|composer|artist|teacher|tutor|manager|supervisor|prescribed by|prescriber|interviewer|signer|signed by|witness|spouse|father|mother|parent|child|manager|agent|assignee|requester|reporter|created by|approved by|member|inspector|lawyer|judge|prefix|suffix|initials?|alias|full|who|pax|beneficiaire|destinataire|interesado|cliente|kunde|kundin|klant|klient|patron|einzahler|empfaenger|ontvanger|odbiorca|mottagare|alici|huurder|mieter|locataire|inquilino|signatory|display|holder)|salutation name|n|display name|name \d|(?:\w+ )+by|actor|host|halter|trainer|captain|pilot|nurse|arzt|doktor|pflegekraft|medecin|medico|enfermero|docente|lehrer|profesor|professor|insegnante|relation|kontakt|contacto|contatto|notify party|sold by|approver|applicant|agent name|rep|sales rep|handler|caseworker|officer",
    "username": r"user|usr|handle|account(?: name)?|login user|uid|usuario|usuari|utente|gebruiker|uzytkownik|anvandare|kullanici|alias|player|actor|created by|updated by|identifiant|(?:\w+ )+by|owner|assignee|author|submitter|committer|operator|login",
    "email": r"mail|e|m|contact|sender|recipient|login|addr|from|to|cc|bcc",
    "phone": r"extension|ext|t|p|contact(?: (?:no|num|number))|numero|nummer|nomer|contacto|pager|sms|number|(?:from|to|called|caller|calling|dialled) (?:no|num|number|nr)|contact no",
    "address": r"a|via|location|place|adr|complement|house|building|apartment|delivery|district street",
    "city": r"(?:\w+ )*(?:city|town|village|municipality|locality|suburb|ort|stadt|wohnort|lieferort|gemeinde|ville(?: \w+)?|commune|localite|ciudad(?: \w+)?|localidad|municipio|poblacion|citta|comune|cidade|localidade|municipio|(?:woon)?plaats|woonpl|pobl|citta res|stad|gemeente|miasto|miejscowosc|postort|ort|stad|kommun|sehir|ilce|gorod|mesto|obec|chengshi|shi|toshi|shahar|city village|home town|hometown|kaupunki|varos)(?: ?(?:name|\d))?|misto|misto narozeni|poli|madina|by|by navn|bynavn|kaupunki|varos|telepules|oras|localitate|mesto bydliste|todofuken|kommune|shi ku|si gun gu",
    "postcode": r"postal|z|pc|cap|post|kod|code",
    "date-of-birth": r"b|bd|birth|nato|anniversary|jahrgang|born",
    "location": r"(?:\w+ )*(?:lat|latitude|lon|long|lng|longitude|latitud|longitud|latitudine|longitudine|breitengrad|laengengrad|breedtegraad|lengtegraad|szerokosc|dlugosc|enlem|boylam|coordinates?|coords?|geo|geom|geometry|position|latlng|latlon|lat lng|lat lon|gps|location|point|koordinaten?|coordonnees|coordenadas|coordinate)(?: ?(?:x|y|wgs84|gps|geo))?",
    "gender": r"title|titel|titre|titulo|prefix|name title|m f|mf|g|s",
    "marital-status": r"status",
    "nationality": r"country code of origin|nation|nationality",
    "national-id": r"(?:\w+ )?(?:id|identifier|identification|document|documento|personal id|id no|id number|reg no|registry|nummer|numero)|columna ?\d*|c|steuer nummer",
    "bank-account": r"(?:\w+ )?(?:acc(?:oun)?t|account)(?: ?(?:no|num|number|nr))?|konto|compte|cuenta|rekening|account|conto|hesap",
    "card-number": r"card|karte|carte|tarjeta|kaart|kort|kart|credit card id|cc",
    "patient-id": r"pat(?:ient)? ?id",
    "card-expiry": r"exp(?:iry|iration|ires)?(?: ?(?:date|dt))?|valid until|ablaufdatum|expires",
    "income": r"(?:\w+ )*(?:lon|renda|pay|gross|net|balance|saldo|solde|rate|debt|loan amount|commission|tax withheld|withheld|withholding|credit limit|opening balance|closing balance|bakiye|saldo|verdienst|bruto|brutto|netto|salary)",
    "card-security-code": r"pin|security|code",
    "vehicle-id": r"(?:\w+ )?(?:registration|reg|registration (?:no|number)|matricula|placa|plate|vehicle|car|fahrzeug)",
    "photo": r"(?:\w+ )*(?:picture|image|img|pic|bild|imagen|immagine|imagem|afbeelding|obraz|icon)(?: ?(?:url|path|file|name))?",
    "secret": r"(?:\w+ )*(?:key|code|hash|auth|verification code|reset|confirm\w*|invite|nonce|certificate|access)",
    "social-profile": r"website|web ?site|homepage|url|uri|profile|web|handle|social|site",
    "employment": r"job|(?:\w+ )?(?:title|position|role|rank|posizione|function|grade|rating|score|contract type|seniority|evaluation)",
    "education": r"(?:\w+ )?(?:grade|mark|score|note|nota|result|level|class|degree|gpa|points)",
    "free-text": r"(?:\w+ )*(?:text|description|descr?|body|content|message|memo|info|details?|subject|bio|about|history|reason|log|msg|summary|purpose|bemerkung|beschreibung|descripcion|descrizione|descricao|omschrijving|opis|beskrivning|aciklama|inhalt|texte|contenu|verwendungszweck|memo|reply|answer|question|caption|story|note|nota|narrative|headline|review|request|query|search term|keyword|title)",
    "health": r"(?:\w+ )*(?:condition|dose|dosage|refills|admit|admitted|discharge|discharged|collected|written|result|finding|procedure|symptom|temperature|weight|height|observation|test (?:code|name)|analysis|assessment|short desc)(?: (?:date|dt|at|on|time))?",
    "device-id": r"(?:\w+ )?(?:serial(?: ?(?:no|number))?|device|mac|hardware|equipment|meter|idfv|install)",
    "online-id": r"(?:\w+ )?(?:session|visitor|anonymous|client|track|tracking|fingerprint|browser)(?: ?id)?|sid|(?:session|visitor|client|guest|anon) (?:key|hash|ref)",
    "ip-address": r"(?:\w+ )?(?:host|addr|address|remote|client|source|src|origin|peer|columna \d)",
    "user-agent": r"browser|client|device|platform",
    "biometric": r"template|scan|embedding|vector|voice|print|face|iris",
    "criminal-record": r"record|crime|incident type|charge",
    "religion": r"belief",
    "political-opinion": r"party|affiliation",
    "sexual-orientation": r"preference",
    "union-membership": r"membership|union",
    "nationality2": r"$^",
    "age": r"years?|age group",
}
del LIKELY["nationality2"]
# What is told of a column's own column: not what the words before it say.
META = re.compile(
    r"(?:^| )(?:ids?|uuid|guid|count|cnt|type|kind|status|state|flag|at|on|sent|verified|confirmed|validated|enabled|disabled|changed|style|promotion|preferences?|opt(?:ed)?(?: ?(?:in|out))|"
    r"length|format|lang|language|locale|source|valid|expires?|expired|expiry|required|policy|attempts|failures|hits|version|visible|public|hidden|allowed|scopes?|"
    r"ts|timestamp|time|date|datetime|rank|order|index|idx|seq|template|templates|category|categories|class|group|bounced|blocked|deleted|active|updated|created|modified|estimated|score|priority|domain|quota|size|hours?|in|of|for|is|per|bytes|subject|fk|ref|subtotal|pct|percent|rate)$"
    r"|^(?:country|region|state|province|county) (?!(?:of )?(?:origin|birth|citizenship))|^(?:is|has|can|should|allow|allows|show|hide|use|uses|enable|num|number of|count|total|nb|anzahl|max|min|avg|sum|last|accepts?|requires?|need|needs) (?!.*(?:name|number|ip|address)$)"
)
# Names that speak of things: what follows is not a person's.
THING_NAME = re.compile(
    r"(?:^| )(?:product|produkt|produit|producto|prodotto|produto|urun|item|article|artikel|company|firma(?!tion)|business|organi[sz]ation|org|vendor|supplier|lieferant|brand|manufacturer|make|model|file|filename|host|server|domain|db|database|"
    r"schema|table|tbl|column|col|field|attribute|property|event|class|method|function|package|module|queue|topic|job(?! ?title)|task|process|service|app|application|program|plugin|theme|category|kategorie|genre|group|role|team|dept|department|abteilung|"
    r"plan|tariff|region|country|state|province|currency|city name|bank|branch|filiale|agency|shop|store|warehouse|lager|depot|station|airport|airline|carrier|aircraft|plane|ship|vessel|route|port|terminal|gate|hotel|restaurant|venue|building|room|raum|"
    r"course|kurs|subject|school|office|headquarters|hq|university|college|hospital|clinic|ward|drug|disease|test|gene|species|film|movie|book|album|track|song|artist|band|game|map|level|team|league|campaign|ad|project|sprint|board|ticket|page|site|menu|tag|label|option|setting|config|key|"
    r"sender domain|node|cluster|pod|container|image|volume|bucket|region|zone|network|interface|gateway|device|sensor|meter|machine|model|part|material|unit|color|colour|status|type|error|step|stage|list|document|report|template|form|contract|invoice|order|payment|transaction|"
    r"societe|entreprise|empresa|azienda|ditta|bedrijf|przedsiebiorstwo|foretag|sirket|ragione|razon|razao|raison|tax office|county|street name type|fund|index|metric|dataset|layer|feature|partner(?! lat| long))(?: ?(?:full|short|legal|display|long|official|code|public))* ?(?:name|nm|title|nombre|nome|nom|naam|namn|label)?$"
)
PERSON_TABLE = re.compile(
    r"(?:^| )(?:kna 1|knvk|pa \d{4}|but 000|adrp|\w*(?:kunden|personen|personal|mitarbeiter|mitglieder|patienten|schueler|studenten|klanten|kunder|users|customers|employees|members|patients|contacts)|tbl\w*(?:customer|user|member|emp|person|client|patient|student|staff|contact|cst)s?|customers?|cust|client[es]?s?|kunden?|klanten|klient\w*|klienci|kunder|clienti|clientes|musteri\w*|users?|usr|accounts|members?|mitglieder|persons?|people|personen?|personal|personel|personnel|personas|persone|pessoas|employees?|emp|staff\w*|mitarbeiter|personalstamm|employes|salaries|empleados|dipendenti|"
    r"funcionarios|medewerkers|pracowni\w*|anstallda|calisan\w*|patients?|patienten|pacientes|pazienti|pacjenci|patienter|hastalar|students?|pupils|schueler|eleves|alumnos|studenti|alunos|leerlingen|uczniowie|elever|ogrenci\w*|contacts?|contactos|kontakte?|leads?|guests?|huespedes|passengers|pax|"
    r"subscribers?\w*|abonn\w*|citizens?|einwohner|residents|voters|eleitores|mieszkancy|obcane|applicants|candidates|drivers|fahrer|owners|holders|account holders|policy ?holders?|assures|insured|claims?|inmates|offenders|players|profiles?|authors? ?|shoppers|visitors?|donors|tenants persons|teachers|doctors|nurses|agents|sellers|buyers|recipients|beneficiar\w*|"
    r"phonebook|address ?book|payroll|payslips?|salary|hr|crm|ansprechpartner|interlocuteurs|partner|pokupateli|kokyaku|yonghu|kehu|shain|wearables?|survey|diversity|consent|kyc|encounters|prescriptions|lab results|lab|dossiers|appraisals|attend\w*|enrol\w*|exam\w*|grades|marks|medical|clinical|health|visits|dating|appointments?|person|kunde|cliente|relaties|adressen|anagrafica|cadastro|agenda|annuaire|medlemmar|uyeler|party|parties|worker|workers|births|deaths|demog\w*|gps\w*|pings|positions|trips|rides|check ?ins|trajector\w*)(?: |$)"
)
THING_TABLE = re.compile(
    r"(?:^| )(?:network devices|equipment|firewalls?|vlans?|interfaces|endpoints|assets|streets?|roads?|street segments|\w*(?:artikel|produkte|lager|products|warehouses|servers|hotels|branches)|products?|produkte?|produits|productos|prodotti|produtos|producten|produkty|produkter|urunler|artikel|articles?|items?|merchandise|catalog\w*|inventory|stock|warehouses?|lager|entrepots|almacenes|magazzini|armazens|magazijnen|magazyny|depolar|stores?|shops?|branches|filialen|hotels?|restaurants?|venues?|"
    r"airports?|airlines?|planes|aircrafts?|flights?|stations?|ports|towers?|antennas?|cells|sites?|gateways?|sensors?|servers?|hosts?|nodes?|machines?|cameras?|routers?|switches|printers?|pumps?|access points|turbines?|atms?|merchants?|business registry|buildings?|rooms?|offices|locations?|cities|city|countries|country|regions?|states|territories|currencies|rates|fx|companies|company|firms|organi[sz]ations?|suppliers?|vendors?|"
    r"manufacturers?|brands?|shippers|carriers|departments?|abteilungen|categories|category|genres?|languages?|language|films?|movies|books|albums?|tracks?|songs|artists?|playlists?|depots?|hubs?|yards?|factories|plants?|clinics?|hospitals?|pharmacies|museums?|stops?|listings?|real estate|properties|property|poi|places|facilities|premises|outlets?|dealers?|dealerships?|charging stations?|chargers?|stadiums?|arenas?|campuses|libraries|markets?|recipes?|podcasts?|shows?|videos?|magazines?|publishers?|certs?|certificates|tls certs|ssh keys|banks?|agencies|vessels?|ships?|trains?|buses|routes?|posts?|pages?|articles?|episodes|media|courses|subjects|schools|plans|tariffs|features?|flags|metrics|artifacts|files|builds?|jobs|queues?|logs? metrics|"
    r"settings|options|config\w*|roles|permissions|terms|tags|emojis|topics|weather|readings|measurements|vouchers|coupons|parcels land|gl|entries|budgets?|budget lines|maps|matches|levels|games|teams|api|actuarial|types?|codes?|lookup|status|tenants|oauth clients|res company|webhooks?)(?: |$)"
)


# Who did something, or whose work it is: no category by itself, but its values are names as often as not.
ROLE = re.compile(
    r"(?:^| )(?:clerk|cashier|operator|picker|packer|driver|dispatcher|courier|nurse|doctor|physician|surgeon|therapist|technician|engineer|inspector|auditor|supervisor|foreman|manager|"
    r"teacher|tutor|coach|trainer|instructor|assignee|assigned|handler|agent|advisor|adviser|consultant|broker|attorney|lawyer|sales ?(?:man|person|people|rep)|salesrep|rep|buyer|seller|planner|reviewer|approver|"
    r"requester|requestor|reporter|creator|author|editor|owner|waiter|waitress|host|guide|pilot|captain|(?:created|changed|updated|modified|approved|entered|handled|signed|served|closed|opened|checked|reviewed|reported|sold|booked) by|"
    r"\w*(?:bearbeiter|betreuer|berater|verkaeufer|verkaufer|kassierer|fahrer|ersteller|mitarbeiter)|bediener|arzt|pfleger|vendeur|caissier|chauffeur|conducteur|infirmier|medecin|employe|gestionnaire|"
    r"vendedor|cajero|conductor|enfermera?|medico|empleado|responsable|operador|venditore|cassiere|autista|infermiere|operatore|funcionario|motorista|verkoper|medewerker|chauffeur|sprzedawca|kierowca|kasjer|"
    r"ernam|aenam|usnam|bname|ename\d?|name \d)(?: |$)"
)


# What stands before it makes it a thing's: `merchant city`, `hub phone`, `scanner serial`; or behind it: `nip firmy`.
OF_A_THING = re.compile(
    r"(?:^| )(?:merchant|hub|store|shop|warehouse|branch|plant|depot|terminal|vendor|supplier|carrier|company|firm\w{0,4}|office|hq|headquarters|upstream|airport|station|venue|hotel|restaurant|clinic|hospital|school|"
    r"university|bank|scanner|printer|sensor|server|machine|facility|factory|outlet|dealer|manufacturer|lieferant\w*|haendler|filiale|fournisseur|magasin|proveedor|tienda|sucursal|fornitore|negozio|fornecedor|"
    r"loja|leverancier|winkel|dostawc\w|sklep\w*|tedarikci|magaza|entreprise|societe|empresa|azienda|bedrijf\w*|sirket\w*|przedsiebiorstw\w|podjetj\w|corporate|own|our|towar\w*|zbozi|urun\w*|tuote\w*|termek\w*|tovar\w*|barang|shou?hin|shangpin|aru|izdeli\w*)(?: |$)"
)
# What is counted or pointed at, and is nobody: its numbers pass for anything by chance.
THING_NUMBER = re.compile(
    r"(?:^| )(?:order|invoice|tracking|parcel|shipment|consignment|waybill|po|purchase|article|item|sku|batch|lot|serial|asset|ticket|case|job|transaction|trans|txn|trace|container|delivery|receipt|booking|voucher|quote|claim|"
    r"bestell\w*|auftrag\w*|rechnung\w*|sendung\w*|commande|facture|colis|pedido|factura|ordine|fattura|bestelling|factuur|zamowieni\w+|faktur\w*|siparis|fatura|ordre|tilaus|rendeles|szamla)(?: |$)"
)
# What a hash or a key is of that opens something; of rows, files and prompts it opens nothing.
OPENS = re.compile(
    r"(?:^| )(?:auth\w*|login|user|account|pass\w*|pw|pwd|pin|token|reset|invit\w*|confirm\w*|verif\w*|session|secret|refresh|api|device|card|activation|access|private|client|license|encryption|signing|credential|otp|recovery|remember|cookie|email|unsubscribe)(?: |$)"
)
OF_ANYTHING = re.compile(r"(?:^| )(?:hash|key|checksum|digest|sha ?\d*|md ?5)(?: |$)")
# What bodies have, and parcels too.
MEASURED = re.compile(
    r"(?:^| )(?:weight|height|length|width|temp\w*|temperature|size|steps|dose|dosage|admit\w*|result|condition)(?: |$)"
)


MACHINE_NAME = re.compile(
    r"(?:^| )(?:server|srv|host|node|gateway|gw|listen|bind|upstream|proxy|dns|vip|cluster|router|switch|subnet|local|lan|pod|broker|backend|endpoint|listener)(?: |$)"
)


TEXT_TABLE = re.compile(
    r"(?:^| )(?:comments?|messages?|statuses|chats?|tickets?|reviews?|feedback|support|complaints?|forum|mails?|conversations?|replies|cases)(?: |$)"
)
HASHED = re.compile(
    r" (?:hash|hashed|sha ?\d*|md ?5|enc|encrypted|masked|digest|crypt|cipher|ciphertext|tokenized)$"
)
# What schemas shorten, and the words of types that some write before or behind a name.
SHORT = {
    "nm": "name", "fnm": "first name", "lnm": "last name", "lname": "last name", "fname": "first name", "frst": "first", "lst": "last", "addr": "address", "ln": "line", "nbr": "number", "brth": "birth",
    "bth": "birth", "dt": "date", "hphone": "home phone", "wphone": "work phone", "cphone": "cell phone", "sts": "status", "ctzn": "citizenship", "emplr": "employer", "cty": "city", "mrtl": "marital", "insd": "insured",
    "lgl": "legal", "cd": "code", "gend": "gender", "natl": "national", "ctry": "country", "cntry": "country", "pwd": "password", "usr": "user", "cust": "customer", "mbl": "mobile", "phn": "phone", "eml": "email", "strt": "street",
    "rcpt": "recipient", "comp": "compensation", "acct": "account", "birthdt": "birth date", "ethn": "ethnicity", "relig": "religion", "occ": "occupation", "diag": "diagnosis", "sess": "session", "affil": "affiliation", "educ": "education", "lvl": "level", "inc": "income", "bkt": "band", "bracket": "band", "range": "band", "immigr": "immigration", "drv": "driver", "lic": "license",
    "chk": "checking", "hh": "household", "mar": "marital", "vec": "vector", "tmpl": "template", "emb": "embedding", "stat": "status", "sal": "salary",
}  # fmt: skip
TYPE_WORDS = re.compile(
    r"^(?:str|txt|dtm|dat|mem|bln|int|lng|num|var|chr|dbl|nm|nr|ds|vl|cd|dt|tx|no|sz|i|s|d|b|n|pf|fk|kh|rel|f|m|u|p|c|wrk|rec) |"
    r" (?:c|cd|code|nm|nbr|txt|str|amt|desc|e|s|pk|val|value|field|raw|plain|clean|std|norm|masked|full|e 164|line \d)$"
)


MEDICAL_TABLE = re.compile(
    r"(?:^| )(?:patients?|pat|encounters?|prescriptions?|rx|labs?|lab results?|diagnos[ei]s|vitals|visits|clinical|medical|health|immuni[sz]ations?|vaccin\w*|admissions?|observations?|problem|allergies|treatments?|surger\w*|consultations?|befunde?|hospital\w*|wearables?|fitness)(?: |$)"
)


@cache
def patterns(which: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The patterns of `certain` or `likely` names, made when first asked for."""
    table = CERTAIN if which == "certain" else LIKELY
    return tuple((category, re.compile(f"(?:{pattern})")) for category, pattern in table.items())


@cache
def listed() -> dict[str, tuple[str, float]]:
    """The names that are listed one by one, folded as `told` does: (category, strength)."""
    found: dict[str, tuple[str, float]] = {}
    for strength, tables in ((0.5, LIKELY_NAMES), (1.0, CERTAIN_NAMES)):
        for table in tables:
            found |= {told(name): (kind, strength) for kind, names in table.items() for name in names.split()}
    return found


@lru_cache(maxsize=4096)
def says(words: str) -> dict[str, float]:
    """Which categories a name speaks of: 1.0 certain, 0.5 likely. The whole name must be one of those."""
    found: dict[str, float] = {}
    kind, sure = listed().get(words, ("", 0.0))
    if sure == 1.0:  # a name that is listed means that, whatever its words say
        return {kind: sure}
    for strength, which in ((1.0, "certain"), (0.5, "likely")):
        for category, pattern in patterns(which):
            if category not in found and pattern.fullmatch(words):
                found[category] = strength
    if kind:
        found.setdefault(kind, sure)
    return found
