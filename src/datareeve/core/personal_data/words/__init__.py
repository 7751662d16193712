"""Words that values are known by, folded: given names, surnames and towns from files, and short lists of what stands in coded columns."""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib.resources import files

_LETTERS = str.maketrans({"ß": "ss", "ø": "o", "ł": "l", "ı": "i", "đ": "d", "æ": "ae", "œ": "oe", "’": "'"})  # noqa: RUF001 - typed so
_LONGEST = 200  # characters that are folded: no word of a list is longer


def fold(text: str) -> str:
    """Lower case, without accents: 'Müller' and 'MULLER' are one."""
    text = text[:_LONGEST]
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign)).translate(_LETTERS)


def plain(text: str) -> str:
    """Without accents, and as it is written otherwise: 'SykeFravær' is 'SykeFravaer'. Letters of other scripts stay as they are."""
    if text.isascii():
        return text
    return "".join(map(_latin, text[:_LONGEST]))


def _latin(sign: str) -> str:
    apart = unicodedata.normalize("NFKD", sign)
    if apart[0].isascii():
        return "".join(one for one in apart if not unicodedata.combining(one))
    small = sign.lower().translate(_LETTERS)
    if not small.isascii():
        return sign
    return small if sign.islower() else small.capitalize()


def _listed(name: str, separator: str | None) -> frozenset[str]:
    lines = files(__package__).joinpath(name).read_text(encoding="utf-8").splitlines()
    return frozenset(
        word for line in lines if not line.startswith("#") for word in line.split(separator) if word
    )


@cache
def given_names() -> frozenset[str]:
    """Given names of many cultures."""
    return _listed("given_names.txt", None)


@cache
def surnames() -> frozenset[str]:
    """Surnames of many cultures."""
    return _listed("surnames.txt", None)


@cache
def cities() -> frozenset[str]:
    """Towns."""
    return _listed("cities.txt", "|")


def _words(text: str) -> frozenset[str]:
    return frozenset(word.replace("_", " ") for word in text.split())


# What stands in columns with few values, in many languages. Sources: the questions of census forms, ISO/IEC 5218, HL7 code systems
# (AdministrativeGender, MaritalStatus, Religion, Race), as far as they are words.
CODED: dict[str, frozenset[str]] = {
    "gender": _words(
        "m f w d x male female man woman men women boy girl mann frau maennlich mannlich weiblich divers homme femme masculin feminin hombre mujer "
        "masculino femenino feminino homem mulher uomo donna maschio femmina maschile femminile mannelijk vrouwelijk vrouw kobieta mezczyzna k kvinna kvinde "
        "erkek kadin other nonbinary non-binary non_binary transgender unknown u n/a muzhchina zhenshchina otoko onna nan nu muz zena divers"
    ),
    "honorific": _words(
        "mr mrs ms miss mx dr prof sir mr. mrs. ms. dr. prof. herr frau herrn hr. fr. m. mme mlle monsieur madame sr sra srta sr. sra. don dona "
        "sig sig. sig.ra sig.na signora dhr mevr mw dhr. mevr. mw. pan pani bay bayan"
    ),
    "marital": _words(
        "single married divorced widowed separated cohabiting unmarried registered_partnership domestic_partner never_married engaged partner ledig verheiratet "
        "geschieden verwitwet getrennt celibataire marie mariee divorce divorcee veuf veuve pacse soltero soltera casado casada divorciado divorciada viudo viuda "
        "solteiro solteira viuvo viuva celibe nubile coniugato coniugata divorziato vedovo ongehuwd gehuwd gescheiden weduwe kawaler panna zonaty zamezna "
        "rozwiedziony wdowiec wdowa ogift gift skild anka bekar evli bosanmis dul"
    ),
    "religion": _words(
        "christian catholic roman_catholic protestant orthodox lutheran evangelical baptist methodist anglican muslim islam sunni shia jewish judaism hindu "
        "hinduism buddhist buddhism sikh atheist agnostic mormon evangelisch katholisch roemisch-katholisch ev rk konfessionslos islamisch juedisch catholique "
        "musulman protestante juif catolico catolica musulmano cattolico katoliek moslim katolik musulman hristiyan prawoslawny"
    ),
    "ethnicity": _words(
        "white black asian hispanic latino caucasian african_american black_or_african_american american_indian native_american alaska_native pacific_islander "
        "native_hawaiian mixed two_or_more_races white_british black_caribbean indian pakistani chinese arab roma non-hispanic not_hispanic branca preta parda amarela indigena"
    ),
    "orientation": _words(
        "heterosexual straight homosexual gay lesbian bisexual asexual pansexual queer hetero homo bi heterosexuel heterosexuell homosexuell"
    ),
    "politics": _words(
        "democrat democratic republican independent libertarian green greens labour conservative tory liberal socialist communist spd cdu csu fdp afd gruene "
        "linke lib_dem snp psoe pp vox podemos left right centrist"
    ),
    "blood": _words("a+ a- b+ b- ab+ ab- o+ o- 0+ 0- a_pos a_neg b_pos b_neg ab_pos ab_neg o_pos o_neg"),
}
# Parts of words that diagnoses and drugs are made with, in several languages.
ILLNESS = (
    "diabet", "hypertens", "hyperton", "asthma", "asma", "astma", "migra", "depress", "cancer", "carcinom", "karzinom", "tumor", "pneumon", "bronchit", "infect",
    "infekt", "arthrit", "arthros", "anaemi", "anemi", "epilep", "schizo", "hepatit", "hiv", "influenza", "fracture", "fraktur", "angina", "infarct", "infarkt",
    "insuffici", "syndrom", "obesity", "adipos", "allerg", "eczema", "ekzem", "dermatit", "gastri", "reflux", "thyroid", "copd", "stroke", "dementia", "demenz",
    "alzheimer", "parkinson", "pain", "anxiety", "insomnia", "covid", "tubercul", "sepsis", "cirrho", "nephr", "neuro", "cardi", "penicillin", "peanut",
)  # fmt: skip
DRUGS = (
    "metformin", "ibuprofen", "paracetamol", "acetaminophen", "aspirin", "amoxicillin", "lisinopril", "ramipril", "atorvastatin", "simvastatin", "omeprazol",
    "pantoprazol", "sertralin", "fluoxetin", "citalopram", "insulin", "warfarin", "salbutamol", "albuterol", "levothyroxin", "amlodipin", "bisoprolol", "metoprolol",
    "losartan", "gabapentin", "tramadol", "morphin", "oxycodon", "diazepam", "prednison", "azithromycin", "ciprofloxacin", "doxycyclin", "hydrochlorothiazid",
)  # fmt: skip
CRIMES = ("theft", "fraud", "assault", "burglary", "robbery", "homicide", "murder", "drunk driving", "dui", "manslaughter", "diebstahl", "betrug", "convict", "felony", "misdemeanor")  # fmt: skip
COMPANY = frozenset(
    "gmbh ltd inc llc corp co plc ag kg ohg ug se sa sas sarl srl spa bv nv ab oy as aps sl slu sp zoo z.o.o. s.a. s.l. s.r.l. s.p.a. b.v. n.v. ltda ltda. me eireli epp gmbh. ltd. inc. "
    "corp. co. llp kk k.k. company group holding holdings sons partners industries solutions systems bank insurance university hospital hotel school airport airlines "
    "international airline associates consulting logistics technologies services gbr e.v. stiftung ziekenhuis sti. a.s. a.s ooo zao oao foundation".split()
)
_END = 3  # letters of a legal form that is a word of some language too: `me`, `as`, `co`


def is_company(parts: list[str]) -> bool:
    """Whether the words of a value are a company's name: short legal forms stand at its end, or are words of a sentence."""
    return any(
        part in COMPANY and (len(part) > _END or len(parts) - place <= 2)  # noqa: PLR2004 - `AG & Co`
        for place, part in enumerate(parts)
    )


STREET = (
    "street", "road", "avenue", "lane", "drive", "boulevard", "square", "court", "terrace", "highway", "strasse", "str.", "weg", "platz", "allee", "gasse", "ring", "damm",
    "rue", "avenue", "chemin", "allee", "impasse", "boulevard", "calle", "avenida", "paseo", "plaza", "camino", "carrer", "via", "viale", "piazza", "corso", "vicolo", "rua", "travessa",
    "straat", "laan", "plein", "kade", "gracht", "steeg", "dreef", "hof", "ulica", "ul.", "aleja", "al.", "plac", "gatan", "gata", "vagen", "stigen", "torget", "grand", "sokak", "sok.", "caddesi", "cad.",
    "mahallesi", "mah.", "bulvari", "st.", "rd.", "ave", "blvd", "ulitsa", "prospekt", "ул.", "улица", "проспект", "丁目", "番", "区", "apt", "suite", "p.o. box", "po box", "postfach", "st", "rd", "dr", "ln",
    "passage", "plaza", "parkway", "alley", "crescent", "trail", "namesti", "trida", "cesta", "cours", "quai", "residencia", "loteamento", "urbanizacion", "largo", "alameda", "glorieta", "ronda",
)  # fmt: skip
