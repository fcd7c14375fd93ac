"""Norrvik Instruments, an invented maker of marine sensors: its people, machines and addresses.

Nothing of it exists. Names of machines end in `corp.norrvik.example`, inside addresses are 10.20.x.y, and its
published addresses are of 192.0.2.0/24, which is set aside for documentation.
"""

from __future__ import annotations

import hashlib
import unicodedata
from typing import Final

import msgspec

DOMAIN: Final = "norrvik.example"
REALM: Final = "corp.norrvik.example"
NETBIOS: Final = "NORRVIK"
PUBLIC_WEB: Final = "192.0.2.10"
PUBLIC_MAIL: Final = "192.0.2.25"
PUBLIC_GATEWAY: Final = "192.0.2.30"
EGRESS: Final = "192.0.2.1"


class Host(msgspec.Struct, frozen=True):
    """A machine. `agent` is the number of its log agent, `platform` the API's word for its system."""

    name: str
    address: str
    platform: str
    build: int
    agent: str

    @property
    def fqdn(self) -> str:
        return f"{self.name}.{REALM}"

    @property
    def is_windows(self) -> bool:
        return self.platform.startswith("Windows")


class Person(msgspec.Struct, frozen=True):
    """Someone who works there, with the machine they sit at; those without a desk have None."""

    name: str
    department: str
    account: str
    workstation: Host | None

    @property
    def upn(self) -> str:
        return f"{self.account}@{DOMAIN}"

    @property
    def directory_id(self) -> str:
        """The id in the cloud directory, a GUID."""
        digest = hashlib.sha256(self.account.encode()).hexdigest()
        return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:32]}"

    @property
    def sid(self) -> str:
        number = 1100 + int(hashlib.sha256(self.account.encode()).hexdigest()[:8], 16) % 90_000
        return f"S-1-5-21-3108844217-1190742255-2740916383-{number}"

    @property
    def desk(self) -> Host:
        """The workstation of a person known to have one."""
        assert self.workstation is not None
        return self.workstation


# Department: code of its machines, its network, and who works there; `*` marks people without a desk.
_STAFF: Final = {
    "Research": (
        "res",
        10,
        "Tomasz Zieliński, Viktor Lindqvist, Aiko Tanabe, Ravi Menon, Solveig Nygård, Chidi Eze, Hanna Kallio, "
        "Mateus Figueira, Linh Tran, Oskar Brandvold, Yasmin Farouk, Dieter Krämer, Noor van Dijk, Elif Aydın",
    ),
    "Finance": (
        "fin",
        11,
        "Ingrid Solheim, Marek Dvořák, Fatima Benali, Jonas Wikander, Priya Raman, Camille Rousset, Abel Tesfaye",
    ),
    "People": ("peo", 11, "Astrid Lunde, Samuel Adeyemi, Beatriz Noronha, Karin Ekdahl"),
    "Legal": ("leg", 11, "Nils Bergström, Tamar Gelashvili, Orla Keane"),
    "Sales": (
        "sal",
        12,
        "Amara Okafor, Lukas Steiner, Mei-Ling Chow, Pavel Horák, Sofia Marchetti, Erik Thorvald, Zanele Mokoena, "
        "Julien Charpentier, Kavya Iyer, Anders Hovland, Rosa Delgado",
    ),
    "Support": ("sup", 12, "Leila Haddad, Bram Jansen, Ifeoma Nwosu, Kristoffer Dahl, Mina Petrova, Tuan Pham"),
    "Production": (
        "prd",
        13,
        "Piotr Sadowski, Gunnar Moen, Blessing Achieng, Stefan Popescu, Unni Fagerheim, Hassan Yilmaz, Ola Kvamme, "
        "*Egil Rustad, *Danuta Wrona, *Kofi Asante, *Marit Sandvik, *Ion Munteanu, *Grace Wanjiru, *Tor Hegge, "
        "*Luz Herrera, *Bashir Noorzai, *Jelena Kovač, *Arne Stokke",
    ),
    "Logistics": ("log", 13, "Petra Nováková, Omar Siddiqui, Liv Haugen, *Emeka Obi, *Teemu Salo, *Ana Pires"),
    "IT": ("itd", 14, "Sigrid Aune, Daniel Osei, Katarina Blomqvist, Farid Rahimi, Wei Zhang, Morten Lie"),
    "Executive": ("exe", 11, "Henriette Falk, Rune Østby, Isabelle Laurent, Gabriel Mensah, *Kjersti Vold"),
}

_SERVERS: Final = """
nv-dc-01 10.20.0.10 WindowsServer2022 20348
nv-dc-02 10.20.0.11 WindowsServer2022 20348
nv-pki-01 10.20.0.13 WindowsServer2019 17763
nv-db-01 10.20.0.21 Linux 0
nv-erp-01 10.20.0.22 WindowsServer2019 17763
nv-fs-01 10.20.0.31 WindowsServer2022 20348
nv-fs-02 10.20.0.32 WindowsServer2019 17763
nv-print-01 10.20.0.41 WindowsServer2019 17763
nv-build-01 10.20.0.51 Linux 0
nv-web-01 10.20.1.10 Linux 0
nv-mx-01 10.20.1.25 Linux 0
nv-gw-01 10.20.1.30 Linux 0
nv-hist-01 10.20.13.10 WindowsServer2019 17763
nv-scan-01 10.20.250.10 Linux 0
"""

_LETTERS: Final = str.maketrans({"ø": "o", "ł": "l", "ı": "i", "æ": "ae", "đ": "d"})


def _account(name: str) -> str:
    """`Rune Østby` is `rune.ostby`."""
    plain = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS)).encode("ascii", "ignore").decode()
    return plain.replace(" ", ".")


def _people() -> tuple[Person, ...]:
    found: list[Person] = []
    seats: dict[int, int] = {}
    for department, (code, network, names) in _STAFF.items():
        number = 0
        for written in names.split(", "):
            name = written.lstrip("*")
            desk = None
            if not written.startswith("*"):
                number += 1
                seats[network] = seats.get(network, 40) + 1
                build = (19045, 22631, 22631, 26100)[(len(name) + number) % 4]
                platform = "Windows10" if build < 22000 else "Windows11"
                agent = f"{100 + len(found):03}"
                desk = Host(f"nv-{code}-{number:03}", f"10.20.{network}.{seats[network]}", platform, build, agent)
            found.append(Person(name, department, _account(name), desk))
    return tuple(found)


def _servers() -> dict[str, Host]:
    found: dict[str, Host] = {}
    for number, line in enumerate(_SERVERS.split("\n")[1:-1]):
        name, address, platform, build = line.split()
        found[name] = Host(name, address, platform, int(build), f"{number + 2:03}")
    return found


PEOPLE: Final = _people()
SERVERS: Final = _servers()
_BY_ACCOUNT: Final = {person.account: person for person in PEOPLE}


def person(account: str) -> Person:
    """The person of an account name such as `rune.ostby`. Raises KeyError."""
    return _BY_ACCOUNT[account]


_CAST: Final = frozenset(
    [
        "ingrid.solheim",
        "jonas.wikander",
        "camille.rousset",
        "abel.tesfaye",
        "marek.dvorak",
        "liv.haugen",
        "omar.siddiqui",
        "priya.raman",
        "rune.ostby",
        "amara.okafor",
        "lukas.steiner",
        "sofia.marchetti",
        "kavya.iyer",
        "leila.haddad",
        "tomasz.zielinski",
        "viktor.lindqvist",
        "morten.lie",
        "piotr.sadowski",
        "gunnar.moen",
        "blessing.achieng",
        "stefan.popescu",
    ]
)
BYSTANDERS: Final = tuple(one for one in PEOPLE if one.workstation and one.account not in _CAST)
"""People with a desk who play no part in an attack; everyday noise happens to them."""
