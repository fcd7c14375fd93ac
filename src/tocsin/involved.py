"""Who and what an incident involves, each once: sensors spell one account or one machine in several ways.

An account counts once by the correlation's own key (`account_of`), a machine by the first label of its name. What is
shown is the form that says most. For the pages and the command line; the rules have their own keys. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import msgspec

from tocsin.correlation import commonplace
from tocsin.correlation.evidence import account_of
from tocsin.documents import AlertDocument


class Account(msgspec.Struct, frozen=True, rename="camel"):
    """The properties of a stored entity that say whose it is."""

    account_name: str | None = None
    domain_name: str | None = None
    user_principal_name: str | None = None
    user_sid: str | None = None
    aad_user_id: str | None = None

    @property
    def key(self) -> str:
        """Equal for two spellings of one account; empty where no account is named."""
        return account_of(self.account_name or self.user_principal_name or "")

    @property
    def label(self) -> str:
        """The form of its name that says most; empty where no account is named."""
        if not self.key:
            return ""
        account = self.account_name or ""
        if account and self.domain_name and "@" not in account and "\\" not in account:
            account = f"{self.domain_name}\\{account}"
        return self.user_principal_name or account

    @property
    def ids(self) -> list[str]:
        """Ids of the account, lower case."""
        return [each.lower() for each in (self.aad_user_id, self.user_sid) if each and each.strip("{}0-")]


class _Machine(msgspec.Struct, frozen=True, rename="camel"):
    device_dns_name: str = ""


_account_decoder = msgspec.json.Decoder(Account)
_machine_decoder = msgspec.json.Decoder(_Machine)


def machine_key(name: str) -> str:
    """Equal for two spellings of one machine: `PC-7` and `pc-7.example.org`. Empty where it has no name."""
    host = name.strip().lower().rstrip(".")
    try:
        ip_address(host)
    except ValueError:
        label = host.partition(".")[0]
        return host if label in commonplace.HOST_LABELS else label
    return host


def machines_of(alerts: Iterable[AlertDocument]) -> list[str]:
    """The machines that alerts are about, by name, in the order in which they came."""
    return distinct_machines(_machine_decoder.decode(raw).device_dns_name for alert in alerts for raw in alert.devices)


def distinct_machines(names: Iterable[str]) -> list[str]:
    """Each machine once, by its longest name, in the order in which they came."""
    best: dict[str, str] = {}
    for name in names:
        key = machine_key(name)
        if key and fuller_machine(name, best.get(key, "")):
            best[key] = name
    return list(best.values())


def fuller_machine(name: str, other: str) -> bool:
    """Whether `name` says more of a machine than another spelling of it."""
    return not other or name.count(".") > other.count(".")


def people_of(alerts: Iterable[AlertDocument]) -> list[str]:
    """The accounts that alerts name, in the order in which they came."""
    best: dict[str, str] = {}
    for alert in alerts:
        for raw in alert.entities:
            account = _account_decoder.decode(raw)
            if account.key and fuller_account(account.label, best.get(account.key, "")):
                best[account.key] = account.label
    return list(best.values())


def fuller_account(label: str, other: str) -> bool:
    """Whether `label` says more of an account than another spelling of it."""
    return not other or _rank(label) > _rank(other)


def names_by_id(alerts: Iterable[AlertDocument]) -> dict[str, str]:
    """What accounts are called, by each of their ids (lower case), where an alert has both."""
    found: dict[str, str] = {}
    for alert in alerts:
        for raw in alert.entities:
            account = _account_decoder.decode(raw)
            for each in account.ids if account.key else ():
                found.setdefault(each, account.label)
    return found


def named(account: Account, names: Mapping[str, str]) -> Account:
    """The account with the name that its id is known by, where it has none itself."""
    name = "" if account.key else next((names[each] for each in account.ids if each in names), "")
    return Account(account_name=name) if name else account


def _rank(label: str) -> int:
    return 2 if "@" in label else int("\\" in label)
