"""Attacks that begin with a message: a phished password, and a phished consent."""

from __future__ import annotations

from typing import Final

from tocsin.demo.logbook import Logbook
from tocsin.demo.organisation import PUBLIC_GATEWAY, SERVERS, Person, person
from tocsin.demo.sensors import native, sentinel, suricata, wazuh
from tocsin.ticks import HOUR, MINUTE, SECOND

PAGE_ADDRESS: Final = "203.0.113.88"
_INVOICE: Final = "http://norrvik-billing.example/invoice/88213"
_INVOICE_MAIL: Final = "20481.invoice.88213@mta7.freightledger.example"
_INVOICE_SENDER: Final = "accounts@freightledger.example"
_THIEF: Final = "198.51.100.142"


def invoice_phish(log: Logbook) -> None:
    """A late-invoice mail, a stolen password, an inbox rule, and the same link sent on inside."""
    log.story = "invoice-phish"
    at = log.workday(10, 8, 12)
    ingrid = person("ingrid.solheim")
    finance = [ingrid, person("jonas.wikander"), person("camille.rousset"), person("abel.tesfaye")]
    _invoice_arrives(log, at, finance)
    _password_given(log, at + 14 * MINUTE, ingrid)
    _account_used(log, at + 66 * MINUTE, ingrid)
    _sent_on_inside(log, at + 3 * HOUR, ingrid)


def _invoice_mail(to: Person) -> sentinel.Thing:
    return sentinel.mail(
        _INVOICE_MAIL, _INVOICE_SENDER, to, "Overdue: freight invoice 88213", sender_ip=PAGE_ADDRESS, link=_INVOICE
    )


def _invoice_arrives(log: Logbook, at: int, staff: list[Person]) -> None:
    for number, one in enumerate(staff):
        sentinel.report(
            log,
            at + number * 20 * SECOND,
            "mail",
            "Phishing message delivered to an inbox",
            f"A message with a link to an imitation of the company's billing page reached {one.name}. "
            "The domain in the link was registered two days ago.",
            "Medium" if number == 0 else "Low",
            "InitialAccess",
            "T1566.002",
            _invoice_mail(one),
            sentinel.mailbox(one),
            sentinel.url(_INVOICE),
            Verdict="Phish",
            Confidence="High",
        )


def _password_given(log: Logbook, at: int, victim: Person) -> None:
    desk = victim.desk
    sentinel.report(
        log,
        at,
        "mail",
        "User clicked through to a malicious link",
        f"{victim.name} opened a link that was later judged to be a credential harvesting page.",
        "High",
        "InitialAccess",
        "T1566.002",
        sentinel.account(victim),
        _invoice_mail(victim),
        sentinel.url(_INVOICE),
        UrlVerdict="Malicious",
    )
    suricata.replay(log, "phish-login", at + 40 * SECOND, {"10.20.11.17": desk.address})
    native.report(
        log,
        at + 50 * SECOND,
        desk,
        "Browser session to a known credential harvesting page",
        f"The browser on {desk.name} sent a form with a password field to a page on the block list.",
        "Medium",
        "InitialAccess",
        "T1566.002",
        native.user(victim),
        native.url(_INVOICE),
        native.address(PAGE_ADDRESS),
    )


def _account_used(log: Logbook, at: int, victim: Person) -> None:
    who, where = sentinel.account(victim), sentinel.address(_THIEF, "BR")
    signed = ("identity", "cloud", "identity")
    rows = (
        ("Sign-in from a place the user was never seen", "Medium", "InitialAccess", "T1078.004",
         "The sign-in came from an address, browser and country that are new for this account."),
        ("Impossible travel activity", "High", "InitialAccess", "T1078.004",
         "Two sign-ins 71 minutes apart, from Norway and Brazil, cannot be the same traveller."),
        ("Session token replayed from another device", "High", "CredentialAccess", "T1539",
         "A session begun in the office was continued from a different machine without a new sign-in."),
    )  # fmt: skip
    for number, (name, severity, tactic, technique, text) in enumerate(rows):
        when = at - 45 * MINUTE + number * 9 * MINUTE
        sentinel.report(log, when, signed[number], name, text, severity, tactic, technique, who, where,
                        sentinel.url(_INVOICE))  # fmt: skip
    sentinel.report(
        log,
        at,
        "mail",
        "Inbox rule hides replies about payments",
        "A new rule moves messages with the words invoice, bank or payment to the RSS folder and marks them read.",
        "High",
        "DefenseEvasion",
        "T1564.008",
        who,
        sentinel.mailbox(victim),
        where,
        RuleName="..",
        Operation="New-InboxRule",
    )
    sentinel.report(
        log,
        at + 12 * MINUTE,
        "mail",
        "Mailbox forwards to an address outside",
        f"All mail of {victim.name} is copied to an outside mailbox.",
        "Medium",
        "Collection",
        "T1114.003",
        who,
        sentinel.mailbox(victim),
        where,
        ForwardTo="ledger.copy@postbox.example",
    )
    sentinel.report(
        log,
        at + 31 * MINUTE,
        "cloud",
        "Unusual number of mails read by one session",
        "614 messages of the finance mailbox were opened within nine minutes.",
        "Medium",
        "Collection",
        "T1114.002",
        who,
        where,
    )


def _sent_on_inside(log: Logbook, at: int, thief_of: Person) -> None:
    inside = "7731.fwd.88213@mail.norrvik.example"
    targets = [person(name) for name in ("marek.dvorak", "liv.haugen", "omar.siddiqui", "priya.raman", "rune.ostby")]
    for number, to in enumerate(targets):
        sentinel.report(
            log,
            at + number * 15 * SECOND,
            "mail",
            "Phishing message sent from a colleague's mailbox",
            f"{thief_of.name}'s mailbox sent a link to the same harvesting page to {to.name}.",
            "High" if number == 0 else "Medium",
            "LateralMovement",
            "T1534",
            sentinel.mail(inside, thief_of.upn, to, "Fwd: Overdue: freight invoice 88213", link=_INVOICE),
            sentinel.mailbox(to),
            sentinel.account(thief_of),
            sentinel.url(_INVOICE),
            sentinel.address(_THIEF, "BR"),
        )
    second = targets[0]
    when = at + 22 * MINUTE
    sentinel.report(
        log, when, "mail", "User clicked through to a malicious link",
        f"{second.name} opened a link sent by a colleague; the page asks for a company password.",
        "High", "InitialAccess", "T1566.002",
        sentinel.account(second), sentinel.url(_INVOICE),
        sentinel.mail(inside, thief_of.upn, second, "Fwd: Overdue: freight invoice 88213", link=_INVOICE),
    )  # fmt: skip
    names = {"ingrid.solheim": second.account}
    suricata.replay(log, "phish-login", when + 30 * SECOND, {"10.20.11.17": second.desk.address}, names=names)
    sentinel.report(
        log, when + 25 * MINUTE, "identity", "Sign-in from an address linked to an attack",
        "The same address was used for another account of this organisation three hours ago.",
        "High", "InitialAccess", "T1078.004", sentinel.account(second), sentinel.address(_THIEF, "BR"),
        sentinel.url(_INVOICE),
    )  # fmt: skip
    gateway = SERVERS["nv-gw-01"]
    data: wazuh.Thing = {"srcip": _THIEF, "dstuser": second.account, "dstip": PUBLIC_GATEWAY}
    wazuh.report(log, when + 29 * MINUTE, gateway, "vpn_failed",
                 f"gateway: login {second.account} from {_THIEF} refused: second factor", data,
                 program="gateway", decoder="gateway", user=second.account)  # fmt: skip


_APP: Final = ("8b7a9d1e-52c4-4a8f-9f60-0c1d8a7e6b35", "TeamSheet Planner", "Halcyon Apps")
_CONSENT: Final = "https://consent.teamsheet.example/grant?c=nv"
_CONSENT_MAIL: Final = "q3-plan.5512@bulk.teamsheet.example"
_APP_ADDRESS: Final = "198.51.100.61"


def consent_grant(log: Logbook) -> None:
    """A planning tool asks for rights, three people agree, and the tool reads their mail."""
    log.story = "consent-grant"
    at = log.workday(7, 9, 41)
    staff = [person(name) for name in ("amara.okafor", "lukas.steiner", "sofia.marchetti", "kavya.iyer")]
    app, link = sentinel.oauth(*_APP), sentinel.url(_CONSENT)
    for number, one in enumerate(staff):
        message = sentinel.mail(
            _CONSENT_MAIL, "hello@teamsheet.example", one, "Your Q3 territory sheet is ready", link=_CONSENT,
            sender_ip="203.0.113.91",
        )  # fmt: skip
        sentinel.report(
            log, at + number * 25 * SECOND, "mail", "Message asks for consent to an unverified application",
            f"{one.name} received a link to a consent page of an application published five days ago.",
            "Low", "InitialAccess", "T1566.002", message, sentinel.mailbox(one), link,
        )  # fmt: skip
    for number, one in enumerate(staff[:3]):
        when = at + (11 + 17 * number) * MINUTE
        suricata.replay(log, "consent-page", when, {"10.20.11.17": one.desk.address, PAGE_ADDRESS: "203.0.113.91"})
        sentinel.report(
            log, when + 45 * SECOND, "cloud", "Consent given to an application with wide mail rights",
            f"{one.name} let {_APP[1]} read, write and send mail, and keep access without being present.",
            "High" if number == 0 else "Medium", "Persistence", "T1528", sentinel.account(one), app, link,
            sentinel.address("203.0.113.91"), Scopes="Mail.ReadWrite Mail.Send offline_access",
        )  # fmt: skip
    _application_reads(log, at + 2 * HOUR, staff, app)


def _application_reads(log: Logbook, at: int, staff: list[Person], app: sentinel.Thing) -> None:
    where = sentinel.address(_APP_ADDRESS, "SG")
    for number, one in enumerate(staff[:3]):
        sentinel.report(
            log, at + number * 6 * MINUTE, "cloud", "Application reads a whole mailbox",
            f"{_APP[1]} fetched every message of {one.name} in one run.",
            "Medium", "Collection", "T1114.002", sentinel.account(one), sentinel.mailbox(one), app, where,
            lasted=4 * MINUTE,
        )  # fmt: skip
    rows = (
        (25, "Application works from an address of a hosting company", "Medium", "CommandAndControl", "T1550.001",
         "Tokens given to the application are used from a rented server, not by its publisher."),
        (95, "Application sends mail in the name of a user", "High", "LateralMovement", "T1534",
         "38 messages with a price list as attachment left the mailbox within two minutes."),
        (340, "Application added a second secret", "High", "Persistence", "T1098.001",
         "A new client secret valid for ten years was put on the application."),
        (1330, "Application downloads files from the sales library", "High", "Exfiltration", "T1567",
         "1,204 documents of the sales library were fetched by the application overnight."),
    )  # fmt: skip
    for minutes, name, severity, tactic, technique, text in rows:
        sentinel.report(log, at + minutes * MINUTE, "cloud", name, text, severity, tactic, technique,
                        sentinel.account(staff[0]), app, where)  # fmt: skip
    first = staff[0]
    native.report(
        log, at + 96 * MINUTE, first.desk, "Saved browser session of a consent page reopened",
        f"The browser on {first.desk.name} reopened a page on the block list from its history.",
        "Low", "Persistence", "T1550.001", native.user(first), native.url(_CONSENT),
    )  # fmt: skip


STORIES: Final = {
    "invoice-phish": (
        "A false freight invoice takes a finance clerk's password; the thief signs in from abroad, hides replies with "
        "an inbox rule and sends the same link to colleagues.",
        ("sentinel", "suricata", "native", "wazuh"),
        invoice_phish,
    ),
    "consent-grant": (
        "Sales staff allow a false planning tool to read their mail; it copies mailboxes, sends mail in their name and "
        "empties a document library.",
        ("sentinel", "suricata", "native"),
        consent_grant,
    ),
}
