"""One place says which columns are personal, whoever asks and however the estate is given."""

from datareeve.capabilities.ai.gateway.compile import with_declared
from datareeve.core.estate import Estate
from datareeve.core.estate_gateway import GatewaySettings
from datareeve.core.personal_data.declared import personal_columns, personal_words

DATASETS = {
    "customers": {"system": "app", "table": "public.customers", "personal": {"e_mail": "email", "name": "name", "country": "no"}},
    "customer-notes": {"system": "app", "table": "public.customers", "personal": {"remark": "free-text"}},
    "orders": {"system": "app", "table": "public.orders", "personal": {"total": "no"}},
    "events": {"system": "lake", "table": "events", "personal": {"visitor": "online-id"}},
}  # fmt: skip
ESTATE = Estate.model_validate({"datasets": DATASETS})


def test_columns_by_table_without_those_that_a_person_called_not_personal():
    expected = {"public.customers": {"e_mail": "email", "name": "name", "remark": "free-text"}}
    assert personal_columns(ESTATE, "app") == personal_columns(DATASETS, "app") == expected
    assert personal_columns(ESTATE, "lake") == {"events": {"visitor": "online-id"}}
    assert personal_columns({}, "app") == personal_columns(Estate(), "app") == {}


def test_a_no_that_yaml_read_as_false_is_a_no():
    assert personal_columns(
        {"x": {"system": "app", "table": "t", "personal": {"a": False, "b": "email"}}}, "app"
    ) == {"t": {"b": "email"}}


def test_prompts_are_looked_through_for_declared_columns_but_not_for_what_prompts_are_made_of():
    assert personal_words(ESTATE) == ("customers.e_mail", "customers.remark", "events.visitor")


def test_the_gateway_takes_declared_columns_for_personal_where_it_redacts():
    def settings(**privacy):
        return GatewaySettings.model_validate({"privacy": privacy})

    told = with_declared(settings(redact=True, columns=["salary"]), ESTATE)
    assert told.privacy.columns == ("salary", "customers.e_mail", "customers.remark", "events.visitor")
    plain = settings(redact=False)
    assert with_declared(plain, ESTATE) is plain
