"""Who gives a command."""

import os
import pwd

from datareeve.interfaces import delegating


def test_a_person_is_who_the_operating_system_says_whatever_the_environment_claims(monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    assert delegating.person() == pwd.getpwuid(os.getuid()).pw_name


def test_a_user_without_a_name_goes_by_number(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 54321)
    assert delegating.person() == "uid 54321"
