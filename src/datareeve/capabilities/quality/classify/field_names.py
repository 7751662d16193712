# ruff: noqa: RUF001 - names in their own script
"""Names of columns that no pattern of words describes: field names of SAP, and names in their own script.

One name is one entry, whole: a part of it may stand within a longer name (`номер_телефона_клиента`). `likely` ones have other meanings too, and need
values that fit or a table about persons.
"""

from __future__ import annotations

SAP: dict[str, str] = {  # PA0001 to PA0105, BUT000, ADRP, ADR6, KNVK, KNBK, CCARD
    "name": "VORNA NACHN NACH2 MIDNM RUFNM ENAME CNAME FAVOR FANAM FGBNA NAMEV NAME_FIRST NAME_LAST NAMEMIDDLE NAME_TEXT NAME_CO KOINH EMFTX CCNAME MC_NAME1 MC_NAME2 GBNAM",
    "username": "ERNAM AENAM USNAM UNAME BNAME USRID",
    "email": "USRID_LONG SMTP_ADDR",
    "phone": "TELNR TEL_NUMBER TELF1 TELF2 TELFX TELTX FAX_NUMBER",
    "date-of-birth": "GBDAT FGBDT GBJHR BIRTHDT",
    "date-of-death": "DEATHDT",
    "birth-place": "GBORT GBLND BIRTHPL",
    "gender": "GESCH FASEX ANRED XSEXM XSEXF",
    "marital-status": "FAMST ANZKD MARST",
    "nationality": "NATIO NATSL",
    "religion": "KONFE",
    "national-id": "PERID",
    "bank-account": "BANKN",
    "card-number": "CCNUM",
    "income": "ANSAL",
    "health-insurance-id": "KVNUM",
}
SAP_LIKELY: dict[str, str] = {  # KNA1, LFA1, ADRC: of firms as well as of persons
    "name": "NAME1 NAME2",
    "address": "STRAS HOUSE_NUM1 HSNMR LOCAT",
    "city": "ORT01 ORT02",
    "postcode": "PSTLZ POST_CODE1",
    "tax-id": "STCD1 STCD2 STCD3",
}
NATIVE: dict[str, str] = {
    "name": "姓 姓名 真实姓名 氏名 お名前 苗字 名字 氏名カナ フリガナ カナ氏名 顧客名 担当者名 患者名 客户姓名 联系人 成员姓名 员工姓名 성명 이름 고객명 "
    "фамилия имя отчество фио полное_имя прізвище ім'я επώνυμο ονοματεπώνυμο όνομα_πελάτη المستخدم_الاسم الاسم الاسم_الأول اسم_العائلة الاسم_الكامل שם_פרטי שם_משפחה שם_מלא ชื่อ นามสกุล नाम पूरा_नाम",
    "username": "用户名 ユーザー名 логин имя_пользователя όνομα_χρήστη اسم_المستخدم",
    "email": "邮箱 电子邮件 电子邮箱 郵箱 メール メールアドレス 이메일 почта электронная_почта эл_почта ηλεκτρονικό_ταχυδρομείο البريد_الإلكتروني البريد_الالكتروني דואל",
    "phone": "电话 電話 电话号码 電話番号 手机 手机号 手机号码 联系电话 携帯 携帯電話 携帯番号 전화 전화번호 휴대폰 телефон номер_телефона мобильный мобильный_телефон τηλέφωνο κινητό "
    "الهاتف رقم_الهاتف الجوال رقم_الجوال טלפון นามเบอร์โทร เบอร์โทร फोन मोबाइल",
    "address": "住所 地址 住址 家庭住址 家庭地址 收货地址 現住所 주소 адрес адрес_проживания адрес_регистрации улица διεύθυνση οδός العنوان כתובת ที่อยู่ पता",
    "postcode": "邮编 邮政编码 郵便番号 우편번호 почтовый_индекс ταχυδρομικός_κώδικας الرمز_البريدي",
    "date-of-birth": "生年月日 出生日期 生日 出生年月 誕生日 생년월일 생일 дата_рождения день_рождения год_рождения дата_народження ημερομηνία_γέννησης تاريخ_الميلاد תאריך_לידה วันเกิด जन्म_तिथि",
    "age": "年龄 年齢 나이 возраст ηλικία العمر",
    "gender": "性别 性別 성별 пол стать φύλο الجنس",
    "marital-status": "婚姻状况 婚姻 결혼여부 семейное_положение οικογενειακή_κατάσταση الحالة_الاجتماعية",
    "nationality": "国籍 國籍 국적 гражданство национальность ιθαγένεια υπηκοότητα الجنسية",
    "birth-place": "出生地 место_рождения τόπος_γέννησης مكان_الميلاد",
    "national-id": "身份证 身份证号 身份证号码 マイナンバー 個人番号 주민등록번호 снилс ΑΜΚΑ رقم_الهوية الرقم_القومي תעודת_זהות",
    "tax-id": "инн ΑΦΜ 税号",
    "passport": "护照号 护照 護照 旅券番号 여권번호 паспорт номер_паспорта серия_паспорта αριθμός_διαβατηρίου رقم_جواز_السفر",
    "driving-licence": "驾驶证号 運転免許証番号 водительское_удостоверение",
    "bank-account": "银行账号 银行卡号 口座番号 계좌번호 номер_счета расчетный_счет رقم_الحساب",
    "income": "工资 薪资 年収 給与 연봉 급여 зарплата оклад доход μισθός الراتب",
    "health": "诊断 病名 診断名 диагноз διάγνωση التشخيص",
    "religion": "宗教 종교 вероисповедание θρησκεία الديانة",
    "password": "密码 密碼 パスワード 비밀번호 пароль κωδικός_πρόσβασης كلمة_المرور",
}
NATIVE_LIKELY: dict[str, str] = {
    "name": "名 名前 名称 όνομα اسم שם",
    "city": "城市 市区町村 도시 город πόλη المدينة",
}
OTHERS: dict[str, str] = {  # words that are short for one thing in one country
    "tax-id": "nip",
    "national-id": "vsnr sv_nummer sv_nr",
    "health-insurance-id": "kv_nr kvnr",
    "bank-code": "blz",
    "phone": "emerg_ph home_ph work_ph cell_ph",
    "bank-account": "pix_key chave_pix",
}
OTHERS_LIKELY: dict[str, str] = {"email": "pec", "tax-id": "partita_iva p_iva piva"}  # of firms as well
CERTAIN_NAMES = (SAP, NATIVE, OTHERS)
LIKELY_NAMES = (SAP_LIKELY, NATIVE_LIKELY, OTHERS_LIKELY)
